import Glibc
import HostSystem
import SystemPackage
import Testing

@Suite struct ChildProcessTests {
  @Test func reportsHowTheChildEnded() throws {
    let seven = try ChildProcess.spawn("/bin/sh", arguments: ["-c", "exit 7"], environment: [])
    #expect(try seven.wait() == .exited(7))
    let killed = try ChildProcess.spawn(
      "/bin/sh", arguments: ["-c", "kill -9 $$"], environment: [])
    #expect(try killed.wait() == .signalled(SIGKILL))
  }

  @Test func mapsDescriptorsAndNothingElse() throws {
    let output = try Pipe.make()
    let input = try Pipe.make()
    let child = try ChildProcess.spawn(
      "/bin/sh", arguments: ["-c", "ls /proc/self/fd | tr '\\n' ' '; echo $A $B; cat <&3"],
      environment: ["A=1", "PATH=/bin:/usr/bin"],
      descriptors: [(1, output.writer.rawValue), (3, input.reader.rawValue)])
    let greeting = Array("hello".utf8)
    try greeting.withUnsafeBytes { try input.writer.writeAll($0) }
    close(input.writer.release())
    #expect(try child.wait() == .exited(0))
    close(output.writer.release())
    let text = String(decoding: try output.reader.readAll(limit: 4096), as: UTF8.self)
    // 4 is ls's own, on the directory it lists.
    #expect(text == "0 1 2 3 4 1\nhello")
  }

  @Test func missingProgramIsAnError() {
    do {
      _ = try ChildProcess.spawn("/nonexistent", arguments: [], environment: [])
      Issue.record("started a program that does not exist")
    } catch {
      #expect(error.code == .noSuchFileOrDirectory)
    }
  }
}
