import Glibc
import HostSystem

/// The real `cofferd` as a process of its own; killed when the value ends.
final class DaemonProcess {
  /// What it says on the readiness descriptor, to its end.
  let announcement: String
  let pid: Int32
  private let child: ChildProcess
  private let errors: Descriptor
  private var status: ExitStatus?

  /// Starts it and waits until it has announced that it serves or why it does not.
  init(
    _ arguments: [String], environment: [String] = ["PATH=/usr/bin:/bin"], limit: String? = nil
  ) throws {
    guard let program = ProgramFile.find("cofferd") else { throw Failure("cofferd is not built") }
    var ready = try Pipe.make()
    var errors = try Pipe.make()
    let descriptors: [(child: Int32, ours: Int32)] = [
      (2, errors.writer.rawValue), (3, ready.writer.rawValue),
    ]
    let command = arguments + ["--ready-fd", "3"]
    if let limit {
      child = try ChildProcess.spawn(
        "/usr/bin/prlimit", arguments: [limit, program] + command, environment: environment,
        descriptors: descriptors)
    } else {
      child = try ChildProcess.spawn(
        program, arguments: command, environment: environment, descriptors: descriptors)
    }
    pid = child.pid
    ready.writer = Descriptor(adopting: -1)
    errors.writer = Descriptor(adopting: -1)
    announcement = String(decoding: try ready.reader.readAll(limit: 65536), as: UTF8.self)
    self.errors = errors.reader
  }

  deinit {
    if status == nil {
      child.signal(SIGKILL)
      _ = try? child.wait()
    }
  }

  func signal(_ number: Int32) {
    child.signal(number)
  }

  /// Waits for its end, 30 seconds at most.
  func wait() throws -> ExitStatus {
    if let status { return status }
    if let handle = try ProcessHandle.open(pid: pid),
      try !handle.waitForExit(milliseconds: 30_000)
    {
      throw Failure("cofferd does not end")
    }
    let ended = try child.wait()
    status = ended
    return ended
  }

  /// What it wrote to standard error; to be asked when it has ended.
  func errorText() throws -> String {
    String(decoding: try errors.readAll(limit: 1 << 20), as: UTF8.self)
  }
}

/// What went wrong in a test's own machinery.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = "\(description), errno \(errno)" }
}

/// A directory for an instance, gone with the value.
final class Place {
  let path: String
  var state: String { "\(path)/state" }
  var socket: String { "\(path)/run/c.sock" }
  var arguments: [String] { ["--state", state, "--socket", socket] }

  init() throws {
    var template = Array("/tmp/coffer-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure("mkdtemp") }
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    chmod(path, 0o755)
    // A connection that the daemon closes fails a write, not the test process.
    signal(SIGPIPE, SIG_IGN)
  }

  deinit {
    if let remove = try? ChildProcess.spawn(
      "/bin/rm", arguments: ["-rf", path], environment: [])
    {
      _ = try? remove.wait()
    }
  }

  /// Type and mode of what is at a path, as `drwx` in octal: `40700`; nil when nothing is there.
  func mode(_ relative: String) -> String? {
    var status = stat()
    guard lstat("\(path)/\(relative)", &status) == 0 else { return nil }
    return String(status.st_mode, radix: 8)
  }
}
