import Glibc
import HostSystem
import Testing

@Suite struct ProcessIdentityTests {
  @Test func knowsTheLivingFromTheDead() throws {
    let me = try #require(ProcessIdentity.of(pid: getpid()))
    #expect(me.isAlive)
    #expect(!ProcessIdentity(pid: me.pid, startTime: me.startTime + 1).isAlive)

    let child = try ChildProcess.spawn("/bin/sleep", arguments: ["60"], environment: [])
    let identity = try #require(ProcessIdentity.of(pid: child.pid))
    let opened = try ProcessHandle.open(pid: child.pid)
    guard let handle = opened else {
      Issue.record("no handle on a running child")
      return
    }
    let early = try handle.waitForExit(milliseconds: 0)
    #expect(!early)
    try handle.signal(SIGTERM)
    let ended = try handle.waitForExit(milliseconds: -1)
    #expect(ended)
    #expect(!identity.isAlive, "a zombie is not alive")
    #expect(try child.wait() == .signalled(SIGTERM))
    #expect(!identity.isAlive)
  }
}
