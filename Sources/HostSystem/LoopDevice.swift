import CLinux
import Glibc

/// A loop device, loop(4), over a file; it goes when its last user closes it.
public struct LoopDevice: ~Copyable, Sendable {
  /// For example `/dev/loop3`.
  public let path: String
  private let descriptor: Descriptor

  /// Attaches a free loop device. Root only.
  public static func attach(
    to file: borrowing Descriptor, readOnly: Bool
  ) throws(SystemError) -> LoopDevice {
    var number: Int32 = 0
    let descriptor = coffer_loop_attach(file.rawValue, readOnly ? 1 : 0, &number)
    if descriptor < 0 { throw .current("LOOP_CONFIGURE", "/dev/loop-control") }
    return LoopDevice(path: "/dev/loop\(number)", descriptor: Descriptor(adopting: descriptor))
  }

  private init(path: String, descriptor: consuming Descriptor) {
    self.path = path
    self.descriptor = descriptor
  }

  /// The file behind the loop device at `path`, as the kernel names it; nil when it is none.
  public static func backingFile(of path: String) -> String? {
    guard path.hasPrefix("/dev/loop"), let name = path.split(separator: "/").last,
      let file = try? Descriptor.open("/sys/block/\(name)/loop/backing_file", O_RDONLY),
      let bytes = try? file.readAll(limit: 4096)
    else { return nil }
    return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }
}
