import CLinux
import Glibc

/// A loop device, loop(4), over a file; it goes when its last user closes it.
public struct LoopDevice: ~Copyable, Sendable {
  /// For example `/dev/loop3`.
  public let path: String
  private let descriptor: Descriptor

  /// Attaches a free loop device. Root only.
  ///
  /// - Parameter label: kept with the device; 63 bytes at most.
  public static func attach(
    to file: borrowing Descriptor, readOnly: Bool, label: String = ""
  ) throws(SystemError) -> LoopDevice {
    var number: Int32 = 0
    let descriptor = coffer_loop_attach(
      file.rawValue, readOnly ? 1 : 0, String(label.prefix(63)), &number)
    if descriptor < 0 { throw .current("LOOP_CONFIGURE", "/dev/loop-control") }
    return LoopDevice(path: "/dev/loop\(number)", descriptor: Descriptor(adopting: descriptor))
  }

  private init(path: String, descriptor: consuming Descriptor) {
    self.path = path
    self.descriptor = descriptor
  }

  /// The label of the loop device at `path`, and the number, `major:minor`, of the file system that holds the
  /// file behind it; nil when it is none, or this user may not know.
  public static func status(of path: String) -> (label: String, backingDevice: String)? {
    guard path.hasPrefix("/dev/loop"), let device = try? Descriptor.open(path, O_RDONLY) else {
      return nil
    }
    var major: UInt32 = 0
    var minor: UInt32 = 0
    var label = [CChar](repeating: 0, count: 64)
    guard coffer_loop_status(device.rawValue, &major, &minor, &label) == 0 else { return nil }
    let text = label.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return (String(decoding: text, as: UTF8.self), "\(major):\(minor)")
  }
}
