import Glibc
import HostSystem
import SystemPackage

/// Mounting: an open `/dev/fuse` and a mount(2) that names it.
enum FuseDevice {
  static let path = "/dev/fuse"
  static let advice =
    "Load the module (modprobe fuse); in a container, pass the device in (--device /dev/fuse)."

  /// Mounts at `mountpoint`, which has been checked, and returns the connection.
  static func mount(
    at mountpoint: String, _ options: ImageMountOptions, maxRead: Int
  ) throws(ImageMountError) -> Descriptor {
    guard access(path, F_OK) == 0 else {
      throw ImageMountError(.noFuseDevice, "there is no \(path)", advice: advice)
    }
    let flags = try mountFlags(options)
    var superOptions = ["default_permissions", "max_read=\(maxRead)"]
    if options.allowOther { superOptions.append("allow_other") }
    if geteuid() == 0 {
      return try mountDirectly(
        at: mountpoint, source: options.sourceName, flags, superOptions)
    }
    return try Fusermount.mount(
      at: mountpoint,
      options: flags.map(\.name) + superOptions + [
        "fsname=\(Fusermount.escaped(options.sourceName))", "subtype=coffer",
      ])
  }

  private static func mountFlags(
    _ options: ImageMountOptions
  ) throws(ImageMountError) -> [MountFlag] {
    var flags: [MountFlag] = []
    if options.readOnly { flags.append(.readOnly) }
    if options.nosuid { flags.append(.nosuid) }
    if options.nodev { flags.append(.nodev) }
    if options.noexec { flags.append(.noexec) }
    for name in options.extra {
      guard let flag = MountFlag.extra.first(where: { $0.name == name }) else {
        throw ImageMountError(
          .invalidOption, "unknown mount option: \(name)",
          advice: "Known are: \(MountFlag.extra.map(\.name).joined(separator: ", ")).")
      }
      flags.append(flag)
    }
    return flags
  }

  private static func mountDirectly(
    at mountpoint: String, source: String, _ flags: [MountFlag], _ superOptions: [String]
  ) throws(ImageMountError) -> Descriptor {
    let device: Descriptor
    do { device = try .open(path, O_RDWR) } catch {
      throw ImageMountError(
        .noFuseDevice, "\(path): cannot open it: \(error.reason)", advice: advice)
    }
    let data =
      (["fd=\(device.rawValue)", "rootmode=40000", "user_id=\(geteuid())", "group_id=\(getegid())"]
      + superOptions).joined(separator: ",")
    let bits = flags.reduce(UInt(0)) { $0 | $1.bit }
    guard Glibc.mount(source, mountpoint, Mountpoint.fileSystemType, bits, data) == 0 else {
      let error = SystemError.current("mount", mountpoint)
      switch error.code {
      case .notPermitted, .permissionDenied:
        throw ImageMountError(
          .permissionDenied, "\(mountpoint): cannot mount: \(error.reason)",
          advice: "Mounting needs CAP_SYS_ADMIN, which containers often take from root.")
      case .operationNotSupportedByDevice:
        throw ImageMountError(
          .noFuseDevice, "\(mountpoint): the kernel has no FUSE", advice: advice)
      default:
        throw ImageMountError(
          .systemFailure, "\(mountpoint): cannot mount: \(error.reason)")
      }
    }
    return device
  }
}

/// A flag of mount(2) and its name in mount(8).
private struct MountFlag {
  let name: String
  let bit: UInt

  static let readOnly = MountFlag(name: "ro", bit: 1)
  static let nosuid = MountFlag(name: "nosuid", bit: 2)
  static let nodev = MountFlag(name: "nodev", bit: 4)
  static let noexec = MountFlag(name: "noexec", bit: 8)
  static let extra = [
    MountFlag(name: "sync", bit: 16), MountFlag(name: "dirsync", bit: 128),
    MountFlag(name: "noatime", bit: 1024),
  ]
}
