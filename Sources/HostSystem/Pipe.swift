import CLinux
import Glibc

/// The two ends of a pipe(2), both O_CLOEXEC. Frozen so that each end can be closed by itself.
@frozen
public struct Pipe: ~Copyable, Sendable {
  public var reader: Descriptor
  public var writer: Descriptor

  public static func make() throws(SystemError) -> Pipe {
    var numbers: [Int32] = [-1, -1]
    _ = try retrying("pipe2") { coffer_pipe(&numbers) }
    return Pipe(reader: Descriptor(adopting: numbers[0]), writer: Descriptor(adopting: numbers[1]))
  }
}

extension Descriptor {
  /// Writes all of `bytes`.
  public borrowing func writeAll(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
    let number = rawValue
    var rest = bytes
    while let start = rest.baseAddress, !rest.isEmpty {
      let count = rest.count
      let written = try retrying("write") { write(number, start, count) }
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
    }
  }

  /// Writes all of `bytes`, which are not secret.
  public borrowing func writeAll(_ bytes: [UInt8]) throws(SystemError) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { buffer.deallocate() }
    buffer.copyBytes(from: bytes)
    try writeAll(UnsafeRawBufferPointer(buffer))
  }

  /// Reads at most once into `buffer`; 0 at the end.
  public borrowing func readSome(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(SystemError) -> Int {
    let number = rawValue
    guard let start = buffer.baseAddress else { return 0 }
    return try retrying("read") { read(number, start, buffer.count) }
  }

  /// Reads to the end, but at most `limit` bytes. For what is not secret.
  public borrowing func readAll(limit: Int) throws(SystemError) -> [UInt8] {
    let chunk = UnsafeMutableRawBufferPointer.allocate(
      byteCount: min(limit, 65536), alignment: 16)
    defer { chunk.deallocate() }
    var bytes: [UInt8] = []
    while bytes.count < limit {
      let room = min(chunk.count, limit - bytes.count)
      let count = try readSome(into: UnsafeMutableRawBufferPointer(rebasing: chunk[..<room]))
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    return bytes
  }
}
