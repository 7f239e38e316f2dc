import CLinux
import Glibc
import SystemPackage

/// A process that cannot be mistaken for a later one of the same number: its pid and when it started.
public struct ProcessIdentity: Sendable, Hashable, Codable {
  public let pid: Int32
  /// Clock ticks since boot, field 22 of `/proc/PID/stat` (proc(5)).
  public let startTime: UInt64

  public init(pid: Int32, startTime: UInt64) {
    self.pid = pid
    self.startTime = startTime
  }

  /// The identity of a running process; nil when there is none of that number, or it is a zombie.
  public static func of(pid: Int32) -> ProcessIdentity? {
    guard let file = try? Descriptor.open("/proc/\(pid)/stat", O_RDONLY),
      let bytes = try? file.readAll(limit: 4096)
    else { return nil }
    // The second field is the name in parentheses and may hold anything, so count from the last one.
    guard let end = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
    let fields = bytes[(end + 1)...].split(separator: UInt8(ascii: " "))
    guard fields.count > 19, fields[0] != [UInt8(ascii: "Z")],
      let startTime = UInt64(String(decoding: fields[19], as: UTF8.self))
    else { return nil }
    return ProcessIdentity(pid: pid, startTime: startTime)
  }

  /// Whether that very process still runs.
  public var isAlive: Bool { Self.of(pid: pid) == self }
}

/// A handle on a process, pidfd_open(2), through which its end can be waited for.
public struct ProcessHandle: ~Copyable, Sendable {
  private let descriptor: Descriptor

  /// Nil when there is no such process any more.
  public static func open(pid: Int32) throws(SystemError) -> ProcessHandle? {
    let number = coffer_pidfd_open(pid)
    if number >= 0 { return ProcessHandle(descriptor: Descriptor(adopting: number)) }
    let error = SystemError.current("pidfd_open")
    if error.code == .noSuchProcess { return nil }
    throw error
  }

  private init(descriptor: consuming Descriptor) {
    self.descriptor = descriptor
  }

  /// Waits for the process's end. Returns false when it still runs after `milliseconds`; -1 waits for ever.
  public borrowing func waitForExit(milliseconds: Int32) throws(SystemError) -> Bool {
    var entry = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
    let ready = try retrying("poll") { poll(&entry, 1, milliseconds) }
    return ready > 0
  }

  /// pidfd_send_signal(2).
  public borrowing func signal(_ number: Int32) throws(SystemError) {
    if coffer_pidfd_send_signal(descriptor.rawValue, number) != 0 {
      throw .current("pidfd_send_signal")
    }
  }
}
