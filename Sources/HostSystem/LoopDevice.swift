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

  /// The number, `major:minor`, of the file system that holds the file behind the loop device at `path`; nil
  /// when it is none, or this user may not know.
  public static func backingDevice(of path: String) -> String? {
    guard path.hasPrefix("/dev/loop"), let device = try? Descriptor.open(path, O_RDONLY) else {
      return nil
    }
    var major: UInt32 = 0
    var minor: UInt32 = 0
    guard coffer_loop_backing_device(device.rawValue, &major, &minor) == 0 else { return nil }
    return "\(major):\(minor)"
  }
}
