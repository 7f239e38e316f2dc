import Glibc
import HostSystem

/// Whether this machine offers FUSE over io_uring, and to what size.
enum RingSupport {
  static let parameter = "/sys/module/fuse/parameters/enable_uring"
  static let advice =
    "Turn it on as root: echo Y > \(parameter) (Linux 6.14 and later; "
    + "`options fuse enable_uring=Y` in /etc/modprobe.d keeps it on). "
    + "Or take the other way: --transport classic"

  /// Whether the administrator has turned it on; nil where the kernel does not know it.
  static var isEnabled: Bool? {
    guard let file = try? Descriptor.open(parameter, O_RDONLY),
      let text = try? file.readAll(limit: 16)
    else { return nil }
    return text.first == UInt8(ascii: "Y")
  }

  /// The size of the rings to try; nil where the classic transport is to be used.
  ///
  /// - Throws: `noRings` where rings are demanded and the kernel has none.
  static func size(for transport: ImageMountOptions.Transport) throws(ImageMountError) -> RingSize?
  {
    if transport == .classic { return nil }
    if isEnabled == true {
      return RingSize(processors: possibleProcessors, lockable: lockableMemory)
    }
    if transport == .auto { return nil }
    throw ImageMountError(
      .noRings,
      isEnabled == nil
        ? "this kernel has no FUSE over io_uring" : "FUSE over io_uring is turned off",
      advice: advice)
  }

  /// RLIMIT_MEMLOCK, which does not bind root.
  private static var lockableMemory: Int {
    var limit = rlimit()
    guard geteuid() != 0, getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0
    else { return .max }
    return Int(clamping: limit.rlim_cur)
  }

  /// What the kernel calls possible processors: it numbers its queues by them, online or not.
  static var possibleProcessors: Int {
    guard let file = try? Descriptor.open("/sys/devices/system/cpu/possible", O_RDONLY),
      let text = try? file.readAll(limit: 4096)
    else { return sysconf(Int32(_SC_NPROCESSORS_CONF)) }
    return processorCount(inList: String(decoding: text, as: UTF8.self))
  }

  /// How many processors a list such as `0-3,8` names.
  static func processorCount(inList list: String) -> Int {
    var count = 0
    for range in list.split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
      let ends = range.split(separator: "-").compactMap { Int($0) }
      guard let first = ends.first, let last = ends.last, last >= first else { continue }
      count += last - first + 1
    }
    return max(count, 1)
  }
}
