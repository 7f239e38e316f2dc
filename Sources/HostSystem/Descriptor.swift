public import Glibc

/// An open file descriptor with one owner, closed when the value ends.
public struct Descriptor: ~Copyable, Sendable {
  /// The number the kernel knows it by. It must not outlive this value.
  public let rawValue: Int32

  /// Takes over a descriptor that nobody else closes.
  public init(adopting rawValue: Int32) {
    self.rawValue = rawValue
  }

  deinit {
    close(rawValue)
  }

  /// open(2), always with O_CLOEXEC.
  public static func open(
    _ path: String, _ flags: Int32, mode: mode_t = 0o600
  ) throws(SystemError) -> Descriptor {
    let number = try retrying("open", path) { Glibc.open(path, flags | O_CLOEXEC, mode) }
    return Descriptor(adopting: number)
  }

  /// fstat(2).
  public borrowing func status() throws(SystemError) -> stat {
    var result = stat()
    let number = rawValue
    _ = try retrying("fstat") { fstat(number, &result) }
    return result
  }

  /// Gives up ownership: the caller closes the number.
  public consuming func release() -> Int32 {
    let number = rawValue
    discard self
    return number
  }
}
