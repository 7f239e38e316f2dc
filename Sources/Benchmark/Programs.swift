internal import Glibc
internal import HostSystem

/// Other programs, run as a user would run them.
enum Program {
  /// What children get of our environment: enough to run, and what chooses kernels.
  private static let environment = ["COFFER_XTS", "HOME", "LANG", "PATH", "TZ"]

  /// Runs `path` to its end.
  ///
  /// - Returns: its standard output.
  /// - Throws: `failed` with what it wrote to standard error, when it does not exit with 0.
  @discardableResult
  static func run(_ path: String, _ arguments: [String]) throws -> String {
    var output = try Pipe.make()
    var errors = try Pipe.make()
    let child = try spawn(
      path, arguments, descriptors: [(1, output.writer.rawValue), (2, errors.writer.rawValue)])
    output.writer = try .open("/dev/null", O_RDONLY)
    errors.writer = try .open("/dev/null", O_RDONLY)
    let text = String(decoding: try output.reader.readAll(limit: 16 << 20), as: UTF8.self)
    let complaint = String(decoding: try errors.reader.readAll(limit: 1 << 16), as: UTF8.self)
    guard try child.wait() == .exited(0) else {
      try Interruption.check()
      let name = path.split(separator: "/").last ?? ""
      let words = ([String(name)] + arguments).joined(separator: " ")
      throw BenchmarkError(
        .failed, "\(words)\nfailed: \(complaint.isEmpty ? text : complaint)")
    }
    return text
  }

  static func spawn(
    _ path: String, _ arguments: [String], descriptors: [(child: Int32, ours: Int32)],
    newSession: Bool = false
  ) throws(SystemError) -> ChildProcess {
    try ChildProcess.spawn(
      path, arguments: arguments, environment: ChildEnvironment.inheriting(environment),
      descriptors: descriptors, newSession: newSession)
  }

  /// An executable file named `name` in the directories of PATH, or where an administrator's are.
  static func find(_ name: String) -> String? {
    let path = getenv("PATH").map { String(cString: $0) } ?? ""
    return
      (path.split(separator: ":").map(String.init) + ["/usr/sbin", "/usr/bin", "/sbin", "/bin"])
      .map { "\($0)/\(name)" }
      .first { access($0, X_OK) == 0 }
  }
}

/// A program that says `ready` and then runs until it is stopped. Its standard input ends when this process does,
/// however that comes about.
final class Companion {
  private let child: ChildProcess
  private var input: Descriptor?
  /// Open to the end, so that the program can always write to it.
  private let errors: Descriptor

  /// - Parameter readyDescriptor: where the program says that it is ready.
  init(_ path: String, _ arguments: [String], readyDescriptor: Int32 = 1) throws {
    var input = try Pipe.make()
    var ready = try Pipe.make()
    var errors = try Pipe.make()
    child = try Program.spawn(
      path, arguments,
      descriptors: [
        (0, input.reader.rawValue), (readyDescriptor, ready.writer.rawValue),
        (2, errors.writer.rawValue),
      ], newSession: true)
    ready.writer = try .open("/dev/null", O_RDONLY)
    errors.writer = try .open("/dev/null", O_RDONLY)
    input.reader = try .open("/dev/null", O_RDONLY)
    let answer = String(decoding: try ready.reader.readAll(limit: 5), as: UTF8.self)
    let writer = input.writer
    self.input = consume writer
    self.errors = errors.reader
    guard answer == "ready" else {
      let complaint = String(decoding: try self.errors.readAll(limit: 1 << 16), as: UTF8.self)
      _ = try child.wait()
      throw BenchmarkError(.failed, "\(path) does not start: \(answer)\(complaint)")
    }
  }

  /// Ends it, by a signal or at the end of its input, and waits.
  func stop(signal: Int32? = nil) {
    input = nil
    if let signal { child.signal(signal) }
    _ = try? child.wait()
  }
}
