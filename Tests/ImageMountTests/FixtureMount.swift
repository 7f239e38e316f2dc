import BlockImage
import DataPlaneTesting
import Glibc
import HostSystem
import Testing

/// An image served by a process of its own, and the directory where it is mounted; all of it goes with the
/// value.
final class FixtureMount {
  /// What the fixture wrote to standard error instead of serving.
  struct Failure: Error {
    /// The name of an `ImageMountErrorCode`.
    let code: String
    let text: String
  }

  let image: TestImage
  let directory: String
  var file: String { directory + "/volume" }
  private(set) var pid: Int32
  private let child: ChildProcess
  private let errors: Descriptor
  private var isServing = false
  private var wasMounted = false
  private let ownsDirectory: Bool

  /// - Parameters:
  ///   - directory: where to mount; nil: a new directory.
  ///   - user: who serves; root otherwise.
  ///   - lockedMemory: the limit for it, in bytes.
  init(
    _ image: TestImage, at directory: String? = nil, options: [String] = [], user: String? = nil,
    lockedMemory: Int = 8 << 20
  ) throws {
    self.image = image
    let geometry = image.geometry
    ownsDirectory = directory == nil
    self.directory = directory ?? image.directory + "/mnt"
    if ownsDirectory { mkdir(self.directory, 0o755) }
    let program = try #require(ProgramFile.ownDirectory) + "/ImageMountFixture"
    var arguments = [
      program, image.path, self.directory, "\(geometry.dataOffset)", "\(geometry.size)",
      "\(geometry.sectorSize)", "\(geometry.ivTweak)",
    ]
    arguments += ["transport=\(EachTransport.current.rawValue)"] + options
    if let user {
      _ = try Command.run("/bin/chown", ["-R", user, image.directory])
      arguments = ["/usr/sbin/runuser", "-u", user, "--"] + arguments
    }
    var output = try Pipe.make()
    var errors = try Pipe.make()
    child = try ChildProcess.spawn(
      "/usr/bin/prlimit", arguments: ["--memlock=\(lockedMemory)", "--"] + arguments,
      environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
      descriptors: [(1, output.writer.rawValue), (2, errors.writer.rawValue)])
    output.writer = try .open("/dev/null", O_RDONLY)
    errors.writer = try .open("/dev/null", O_RDONLY)
    pid = child.pid
    let ready = String(decoding: try output.reader.readAll(limit: 6), as: UTF8.self)
    guard ready == "ready\n" else {
      let text = String(decoding: try errors.reader.readAll(limit: 65536), as: UTF8.self)
      _ = try child.wait()
      self.errors = try .open("/dev/null", O_RDONLY)
      let lines = text.split(separator: "\n", maxSplits: 1)
      throw Failure(
        code: String(lines.first ?? ""), text: lines.count > 1 ? String(lines[1]) : "")
    }
    (isServing, wasMounted) = (true, true)
    let number = errors.reader.rawValue
    self.errors = Descriptor(adopting: fcntl(number, F_DUPFD, 0))
    // runuser stays as the parent of what it runs.
    if user != nil {
      let children = try Command.run("/usr/bin/pgrep", ["-P", "\(child.pid)"])
      pid = try #require(Int32(children.output.split(separator: "\n").first ?? ""))
    }
  }

  deinit {
    if isServing {
      kill(pid, SIGKILL)
      _ = try? child.wait()
    }
    if wasMounted { umount2(directory, Int32(MNT_DETACH)) }
    if ownsDirectory { rmdir(directory) }
  }

  /// Sends a signal and waits for the end of the process: how it ended, and what it said.
  @discardableResult
  func end(by signal: Int32 = SIGTERM) throws -> (status: HostSystem.ExitStatus, text: String) {
    kill(pid, signal)
    return try wait()
  }

  func wait() throws -> (status: HostSystem.ExitStatus, text: String) {
    let status = try child.wait()
    isServing = false
    let text = String(decoding: try errors.readAll(limit: 65536), as: UTF8.self)
    return (status, text)
  }
}

/// An open file of the tests, with calls that return an errno or the result.
final class OpenFile: Sendable {
  private let descriptor: Descriptor
  var number: Int32 { descriptor.rawValue }

  /// O_DIRECT of open(2).
  static let direct: Int32 = 0o40000

  init(_ path: String, _ flags: Int32) throws {
    descriptor = try .open(path, flags)
  }

  /// pwrite(2); -errno on failure.
  func write(_ bytes: [UInt8], at offset: Int) -> Int {
    let result = bytes.withUnsafeBytes { pwrite(number, $0.baseAddress, $0.count, offset) }
    return result < 0 ? -Int(errno) : result
  }

  /// pread(2); nil on failure, with errno set.
  func read(_ range: Range<Int>) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: range.count)
    let result = bytes.withUnsafeMutableBytes {
      pread(number, $0.baseAddress, $0.count, range.lowerBound)
    }
    return result < 0 ? nil : Array(bytes.prefix(result))
  }

  /// fallocate(2): 0 or an errno. Glibc's module does not have it.
  func allocate(mode: Int32, _ range: Range<Int>) -> Int32 {
    typealias Function = @convention(c) (Int32, Int32, off_t, off_t) -> Int32
    let function = unsafeBitCast(dlsym(nil, "fallocate"), to: Function.self)
    return function(number, mode, range.lowerBound, range.count) == 0 ? 0 : errno
  }
}

/// Mode bits of fallocate(2).
let keepSize: Int32 = 1
let punchHole: Int32 = 2
let zeroRange: Int32 = 16
