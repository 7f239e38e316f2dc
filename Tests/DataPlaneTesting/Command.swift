import Glibc
import HostSystem

/// A program run to its end.
public struct Command: Sendable {
  /// The exit status; -1 when a signal ended it.
  public let status: Int32
  /// Standard output and standard error together.
  public let output: String

  public static func run(_ program: String, _ arguments: [String]) throws -> Command {
    var pipe = try Pipe.make()
    let child = try ChildProcess.spawn(
      program, arguments: arguments, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
      descriptors: [(1, pipe.writer.rawValue), (2, pipe.writer.rawValue)])
    pipe.writer = try .open("/dev/null", O_RDONLY)
    let output = try pipe.reader.readAll(limit: 1 << 20)
    let status = try child.wait()
    return Command(
      status: { if case .exited(let code) = status { code } else { -1 } }(),
      output: String(decoding: output, as: UTF8.self))
  }
}
