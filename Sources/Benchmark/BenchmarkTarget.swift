internal import Glibc
internal import HostSystem

/// A file to put load on.
struct BenchmarkTarget {
  let series: Panel.Series
  let path: String
  /// Whether the file can be opened with O_DIRECT: tmpfs before Linux 6.6 cannot.
  let takesDirectIO: Bool

  /// Writes `size` bytes of noise, so that no case meets holes; makes the file if it is missing.
  static func filling(
    _ series: Panel.Series, path: String, size: UInt64
  ) throws -> BenchmarkTarget {
    let file = try Descriptor.open(path, O_RDWR | O_CREAT)
    let noise = try PageBuffer(byteCount: 1 << 20)
    let number = file.rawValue
    var offset: UInt64 = 0
    while offset < size {
      try Interruption.check()
      let count = Int(min(size - offset, UInt64(noise.byteCount)))
      let written = try retrying("pwrite", path) {
        pwrite(number, noise.start, count, off_t(offset))
      }
      guard written > 0 else {
        throw BenchmarkError(.invalidRequest, "\(path) is shorter than \(size) bytes")
      }
      offset += UInt64(written)
    }
    _ = try retrying("fsync", path) { fsync(number) }
    return BenchmarkTarget(series: series, path: path, takesDirectIO: opensDirect(path))
  }

  private static func opensDirect(_ path: String) -> Bool {
    // O_DIRECT of open(2), a GNU extension that is not imported.
    (try? Descriptor.open(path, O_RDWR | 0o40000)) != nil
  }
}
