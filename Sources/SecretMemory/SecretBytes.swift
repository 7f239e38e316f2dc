import CSecretMemory
import Glibc

/// Why memory for a secret could not be had.
public enum SecretMemoryError: Error, CustomStringConvertible {
  /// mmap(2) or mlock(2) failed with this errno: most often RLIMIT_MEMLOCK is too low.
  case cannotLock(errno: Int32)
  /// Text that should be hexadecimal or base64 is not.
  case malformedText

  public var description: String {
    switch self {
    case .cannotLock(let code):
      "cannot lock memory for a key (\(String(cString: strerror(code)))): "
        + "raise the locked-memory limit (ulimit -l, LimitMEMLOCK=)"
    case .malformedText:
      "the text is not valid hexadecimal or base64"
    }
  }
}

/// Bytes of a secret: never swapped, never in a core dump, cleared when the value ends, with no way
/// to print them.
///
/// Each value has pages of its own, locked by mlock(2) and excluded by `MADV_DONTDUMP`.
// @unchecked: the pages have exactly one owner, since the type is not copyable, and they change only
// through `mutating` access, which is exclusive; so moving the value between threads is safe.
public struct SecretBytes: ~Copyable, @unchecked Sendable {
  private let base: UnsafeMutableRawPointer
  /// The number of bytes, which may be 0.
  public let count: Int

  private init(base: UnsafeMutableRawPointer, count: Int) {
    self.base = base
    self.count = count
  }

  deinit {
    let length = Self.mappedLength(count)
    coffer_wipe(base, length)
    munmap(base, length)
  }

  /// `count` zero bytes.
  public static func zeroed(count: Int) throws(SecretMemoryError) -> SecretBytes {
    let length = mappedLength(count)
    let address = mmap(
      nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let address, address != MAP_FAILED else { throw .cannotLock(errno: errno) }
    guard mlock(address, length) == 0 else {
      let reason = errno
      munmap(address, length)
      throw .cannotLock(errno: reason)
    }
    madvise(address, length, MADV_DONTDUMP)
    return SecretBytes(base: address, count: count)
  }

  /// A copy of `bytes`; the caller wipes the original.
  public static func copying(
    _ bytes: UnsafeRawBufferPointer
  ) throws(SecretMemoryError) -> SecretBytes {
    let secret = try zeroed(count: bytes.count)
    if let source = bytes.baseAddress {
      secret.base.copyMemory(from: source, byteCount: bytes.count)
    }
    return secret
  }

  /// A copy of `bytes`, which are wiped.
  public static func taking(_ bytes: inout [UInt8]) throws(SecretMemoryError) -> SecretBytes {
    let secret = try zeroed(count: bytes.count)
    bytes.withUnsafeMutableBytes { source in
      guard let start = source.baseAddress else { return }
      secret.base.copyMemory(from: start, byteCount: source.count)
      coffer_wipe(start, source.count)
    }
    return secret
  }

  /// A second value with the same bytes.
  public borrowing func duplicate() throws(SecretMemoryError) -> SecretBytes {
    try .copying(UnsafeRawBufferPointer(start: base, count: count))
  }

  /// The first `length` bytes as a value of their own, 0 to `count`.
  public borrowing func prefix(_ length: Int) throws(SecretMemoryError) -> SecretBytes {
    precondition(length >= 0 && length <= count)
    return try .copying(UnsafeRawBufferPointer(start: base, count: length))
  }

  /// Read access. The pointer is valid only inside `body`.
  @inlinable
  public borrowing func withUnsafeBytes<Result: ~Copyable, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(UnsafeRawBufferPointer(start: pointer, count: count))
  }

  /// Write access. The pointer is valid only inside `body`.
  @inlinable
  public mutating func withUnsafeMutableBytes<Result: ~Copyable, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(UnsafeMutableRawBufferPointer(start: pointer, count: count))
  }

  /// Whether both hold the same bytes, in a time that depends on the length alone.
  public borrowing func equals(_ other: borrowing SecretBytes) -> Bool {
    count == other.count && coffer_equal_in_constant_time(base, other.base, count) == 1
  }

  @usableFromInline
  var pointer: UnsafeMutableRawPointer { base }

  private static func mappedLength(_ count: Int) -> Int {
    let page = sysconf(Int32(_SC_PAGESIZE))
    return max(1, (count + page - 1) / page) * page
  }
}
