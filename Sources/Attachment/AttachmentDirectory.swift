import Glibc
import HostSystem
package import VolumeAPI

/// The directory of control sockets and hidden mounts, `attachments` in the user's runtime directory.
package enum AttachmentDirectory {
  package static func own() throws(VolumeError) -> String {
    do {
      let path = "\(try RuntimeDirectory.own())/attachments"
      try RuntimeDirectory.makePrivate(path)
      return path
    } catch {
      throw VolumeError(
        .inputOutput, "no runtime directory: \(error)",
        advice: "Set XDG_RUNTIME_DIR to a directory of yours.")
    }
  }

  /// The device number of the FUSE mount that a mount is or, through a loop device, stands on; nil when
  /// it is none of Coffer's.
  static func servedDevice(of entry: MountEntry) -> String? {
    if entry.type == "fuse.coffer" { return entry.device }
    guard let loop = LoopDevice.status(of: entry.source), loop.label == loopLabel else {
      return nil
    }
    return loop.backingDevice
  }

  /// What tells a loop device of Coffer's from others.
  static let loopLabel = "coffer volume"

  /// Where the control socket of a mount may be. The kernel says in a FUSE mount's options who made it.
  static func candidates(for entry: MountEntry) -> [String] {
    let owner = owner(of: entry)
    let runtime = owner == geteuid() ? getenv("XDG_RUNTIME_DIR").map { String(cString: $0) } : nil
    return RuntimeDirectory.candidates(uid: owner, runtime: runtime).map { "\($0)/attachments" }
  }

  /// The process that serves a mount; nil when none answers.
  static func server(of entry: MountEntry, device: String) -> Int32? {
    ControlClient.server(
      device: device, directories: candidates(for: entry), owner: owner(of: entry))?.pid
  }

  private static func owner(of entry: MountEntry) -> UInt32 {
    // Only root mounts the file system inside a volume.
    entry.superOption("user_id").flatMap { UInt32($0) } ?? 0
  }
}
