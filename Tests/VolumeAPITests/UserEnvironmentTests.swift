import FakeServer
import Glibc
import Testing
import VolumeAPI

@Suite struct UserEnvironmentTests {
  /// Root never asks whether it can connect, so this takes the parts of the real environment for an
  /// ordinary user.
  private func ordinary(_ socket: String) throws -> ServiceLocation {
    let real = UserEnvironment.current
    let user = UserEnvironment(
      uid: 65_534, variables: { _ in nil }, currentDirectory: { "/" },
      status: { _ in nil },
      canConnect: { asked in asked == ServiceLocation.systemSocket && real.canConnect(socket) })
    return try ServiceLocation.find(for: user)
  }

  @Test func connectsToWhatListensAlone() throws {
    let server = FakeServer { _ in .noContent }
    #expect(try ordinary(server.path).kind == .system)
    server.stop()
    #expect(try ordinary(server.path).kind == .own)
    #expect(try ordinary("/" + String(repeating: "a", count: 200)).kind == .own)
    #expect(try ordinary("/etc/passwd").kind == .own)
  }

  @Test func readsTheRealEnvironment() throws {
    let user = UserEnvironment.current
    #expect(user.uid == geteuid())
    let status = try #require(user.status("/tmp"))
    #expect(status.isDirectory && status.owner == 0 && status.permissions == 0o777)
    #expect(user.status("/nonexistent") == nil)
    #expect(user.status("/proc/self")?.isDirectory == false, "a link is not followed")
  }
}
