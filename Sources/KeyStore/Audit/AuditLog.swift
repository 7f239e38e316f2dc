import Dispatch
import FoundationEssentials
import Glibc
import HostSystem
public import KeyManager
import Synchronization

/// A file to which events are appended, each chained to the one before by its hash.
///
/// One process at a time writes to it. Events that come while the disk is busy are written, and made
/// durable, together.
public final class AuditLog: Sendable {
  private struct Waiting {
    let event: AuditEvent
    let done: CheckedContinuation<Result<Void, KeyManagerError>, Never>
  }

  private struct State {
    var waiting: [Waiting] = []
    var isWriting = false
  }

  /// What the writing thread alone uses.
  private struct Writer: ~Copyable {
    let file: Descriptor
    var last: String
    var length: Int64
  }

  public let path: String
  private let state = Mutex(State())
  private let writer: Mutex<Writer>
  private let queue = DispatchQueue(label: "coffer.audit")

  /// Opens the log, or makes it: a file of its owner's alone. A line that a crash cut short, whose
  /// operation nobody was answered, is taken off.
  ///
  /// - Parameter path: absolute.
  public init(path: String) throws(KeyManagerError) {
    self.path = path
    do {
      let file = try Descriptor.open(
        path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, mode: 0o600)
      try PrivateFile.check(try file.status(), path: path, mode: "600")
      let (last, length) = try Self.end(of: file, path)
      writer = Mutex(Writer(file: file, last: last, length: length))
    } catch let error as KeyManagerError {
      throw error
    } catch {
      throw KeyManagerError(.unavailable, "cannot open the audit log: \(error)")
    }
  }

  /// Appends an event; returns when it is durable.
  public func append(_ event: AuditEvent) async throws(KeyManagerError) {
    let result = await withCheckedContinuation { done in
      let starts = state.withLock { state in
        state.waiting.append(Waiting(event: event, done: done))
        defer { state.isWriting = true }
        return !state.isWriting
      }
      if starts { queue.async { self.writeAll() } }
    }
    try result.get()
  }

  private func writeAll() {
    while true {
      let batch = state.withLock { state in
        let batch = state.waiting
        state.waiting = []
        state.isWriting = !batch.isEmpty
        return batch
      }
      guard !batch.isEmpty else { return }
      let result: Result<Void, KeyManagerError>
      do {
        try writer.withLock { try Self.write(batch.map(\.event), to: &$0, path) }
        result = .success(())
      } catch {
        result = .failure(
          KeyManagerError(
            .unavailable,
            "the audit log cannot be written, and without it no key is handed out: \(error)"))
      }
      for waiting in batch { waiting.done.resume(returning: result) }
    }
  }

  private static func write(
    _ events: [AuditEvent], to writer: inout Writer, _ path: String
  ) throws {
    var last = writer.last
    var lines: [UInt8] = []
    for event in events {
      let record = try AuditRecord(event, after: last)
      lines += try record.json()
      lines.append(UInt8(ascii: "\n"))
      last = record.hash ?? last
    }
    let number = writer.file.rawValue
    do {
      var done = 0
      while done < lines.count {
        done += try retrying("write", path) {
          lines.withUnsafeBytes { Glibc.write(number, $0.baseAddress! + done, $0.count - done) }
        }
      }
      _ = try retrying("fdatasync", path) { fdatasync(number) }
    } catch {
      // What was not answered must not stay in the chain.
      _ = ftruncate(number, off_t(writer.length))
      throw error
    }
    writer.last = last
    writer.length += Int64(lines.count)
  }

  /// The last line's hash, and where the next line goes.
  private static func end(
    of file: borrowing Descriptor, _ path: String
  ) throws -> (last: String, length: Int64) {
    let number = file.rawValue
    let size = try file.status().st_size
    // Far more than two lines take.
    let start = max(0, Int64(size) - 65_536)
    var tail = [UInt8](repeating: 0, count: Int(Int64(size) - start))
    let count = tail.withUnsafeMutableBytes {
      pread(number, $0.baseAddress, $0.count, off_t(start))
    }
    guard count == tail.count else { throw SystemError.current("pread", path) }
    let newline = UInt8(ascii: "\n")
    let end = tail.lastIndex(of: newline).map { $0 + 1 } ?? 0
    if end < tail.count {
      guard end > 0 || start == 0 else { throw damaged(path) }
      _ = try retrying("ftruncate", path) { ftruncate(number, off_t(start) + off_t(end)) }
    }
    guard end > 0 else { return (AuditRecord.start, 0) }
    let line = tail[..<(end - 1)].split(separator: newline).last ?? []
    guard let hash = AuditRecord(line: line)?.hash else { throw damaged(path) }
    return (hash, start + Int64(end))
  }

  private static func damaged(_ path: String) -> KeyManagerError {
    KeyManagerError(
      .damaged,
      "the last line of the audit log \(path) is damaged or was changed: look at it (coffer audit "
        + "verify), and move the file aside to begin another")
  }
}
