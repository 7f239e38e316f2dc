import Glibc
import HostSystem

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Starts a user's own `cofferd`, which stops by itself when it is idle.
enum ServiceStarter {
  /// How long it waits for work before it stops, in seconds.
  private static let idleSeconds = 300
  private static let readyDescriptor: Int32 = 3

  /// Returns when the service takes connections.
  static func start(
    _ location: ServiceLocation, for user: UserEnvironment
  ) throws(VolumeError) {
    guard let program = ProgramFile.find("cofferd") else {
      throw VolumeError(
        .keyManagerUnavailable, "cofferd does not run and is not installed",
        advice: "Put it beside coffer, or name a running one with --socket.")
    }
    let state = try StateDirectory.path(for: user)
    let answer: String
    do {
      let ready = try Pipe.make()
      let child = try ChildProcess.spawn(
        program,
        arguments: [
          "--state", state, "--socket", location.socket, "--idle-exit", "\(idleSeconds)",
          "--ready-fd", "\(readyDescriptor)",
        ],
        environment: ChildEnvironment.inheriting(["HOME", "LANG", "PATH", "TZ"]),
        descriptors: [(readyDescriptor, ready.writer.rawValue)], newSession: true)
      _ = child.pid
      close(ready.writer.release())
      answer = String(decoding: try ready.reader.readAll(limit: 65536), as: UTF8.self)
    } catch {
      throw VolumeError(.keyManagerUnavailable, "cannot start \(program): \(error)")
    }
    if answer.hasPrefix("ready") { return }
    // Two commands at once may both have tried; the other one's instance does as well.
    if user.canConnect(location.socket) { return }
    throw failure(answer, program: program)
  }

  private static func failure(_ answer: String, program: String) -> VolumeError {
    struct Failure: Decodable { let message: String }
    let reason =
      (try? JSONDecoder().decode(Failure.self, from: Data(answer.utf8)))?.message
      ?? (answer.isEmpty ? "it ended without a word" : answer)
    return VolumeError(
      .keyManagerUnavailable, "cofferd does not start: \(reason)",
      advice: "Run \(program) by hand to see more.")
  }
}
