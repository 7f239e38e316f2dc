import Glibc
import HostSystem
import SystemPackage

/// What is at a directory that is, or is to be, a mountpoint.
public enum MountpointState: Sendable, Equatable {
  /// Nothing of ours.
  case free
  /// A volume is attached there.
  case mounted
  /// A volume was attached there and the process that served it is gone.
  case stale
}

/// Looks at mountpoints and takes mounts away.
public enum Mountpoint {
  /// The file system type in the mount table.
  public static let fileSystemType = "fuse.coffer"

  /// What is on top at `path`. Waits for the process that serves it, if there is one.
  public static func state(of path: String) throws(ImageMountError) -> MountpointState {
    let resolved = try resolve(path)
    guard try entry(at: resolved)?.type == fileSystemType else { return .free }
    // Unlike attributes, what statvfs(3) tells is never cached, so a dead connection shows.
    var status = statvfs()
    if statvfs(resolved, &status) != 0, [ENOTCONN, ECONNABORTED].contains(errno) { return .stale }
    return .mounted
  }

  /// Unmounts what Coffer mounted at `path`, also when its server is dead.
  ///
  /// - Parameter lazily: takes the mount out of sight at once; it ends when its last open file is closed.
  /// - Throws: `busy`, `notMounted`, `permissionDenied`, `noFusermount`, `systemFailure`.
  public static func unmount(_ path: String, lazily: Bool = false) throws(ImageMountError) {
    let resolved = try resolve(path)
    guard let top = try entry(at: resolved) else {
      throw ImageMountError(.notMounted, "\(path): no volume is attached here")
    }
    guard top.type == fileSystemType else {
      throw ImageMountError(
        .busy, "\(path): another file system (\(top.type)) is mounted on top",
        advice: "Unmount it first: umount \(path)")
    }
    if geteuid() == 0 {
      try unmountDirectly(resolved, lazily: lazily)
    } else {
      try Fusermount.unmount(resolved, lazily: lazily)
    }
  }

  private static func unmountDirectly(_ path: String, lazily: Bool) throws(ImageMountError) {
    let noFollow: Int32 = 8
    guard umount2(path, noFollow | (lazily ? Int32(MNT_DETACH) : 0)) != 0 else { return }
    let error = SystemError.current("umount2", path)
    switch error.code {
    case .resourceBusy: throw busy(path)
    case .notPermitted:
      throw ImageMountError(.permissionDenied, "\(path): cannot unmount: \(error.reason)")
    default: throw ImageMountError(.systemFailure, "\(path): cannot unmount: \(error.reason)")
    }
  }

  static func busy(_ path: String) -> ImageMountError {
    ImageMountError(
      .busy, "\(path): cannot unmount: files are in use",
      advice: "Close what uses \(path)/\(FileServer.fileName) (see `fuser -vm \(path)`), "
        + "and detach loop devices on it (`losetup -a`).")
  }

  /// Throws unless a volume can be mounted at `path`; returns the path without symbolic links.
  static func check(_ path: String) throws(ImageMountError) -> String {
    let resolved = try resolve(path)
    switch try state(of: resolved) {
    case .free: break
    case .mounted:
      throw ImageMountError(
        .alreadyMounted, "\(path): a volume is already attached here",
        advice: "Choose another directory, or detach it first: coffer detach \(path)")
    case .stale:
      throw ImageMountError(
        .mountpointStale, "\(path): the process that served the volume attached here has died",
        advice: "Clean it up: coffer detach \(path)")
    }
    var status = stat()
    guard stat(resolved, &status) == 0 else {
      let error = SystemError.current("stat", path)
      switch error.code {
      case .noSuchFileOrDirectory:
        throw ImageMountError(
          .mountpointMissing, "\(path): no such directory", advice: "Make it: mkdir \(path)")
      case .notDirectory:
        throw notDirectory(path)
      case .socketNotConnected:
        throw ImageMountError(
          .mountpointStale, "\(path): a dead FUSE mount is here",
          advice: "Clean it up: fusermount3 -u \(path)")
      case .permissionDenied:
        throw ImageMountError(.permissionDenied, "\(path): \(error.reason)")
      default:
        throw ImageMountError(.systemFailure, "\(error)")
      }
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw notDirectory(path) }
    guard try isEmpty(resolved) else {
      throw ImageMountError(
        .mountpointNotEmpty, "\(path): the directory is not empty",
        advice: "Choose an empty directory: the mount would hide what is in this one.")
    }
    return resolved
  }

  private static func notDirectory(_ path: String) -> ImageMountError {
    ImageMountError(
      .mountpointNotDirectory, "\(path): not a directory", advice: "Choose an empty directory.")
  }

  private static func isEmpty(_ path: String) throws(ImageMountError) -> Bool {
    guard let directory = opendir(path) else {
      let error = SystemError.current("opendir", path)
      throw ImageMountError(
        error.code == .permissionDenied ? .permissionDenied : .systemFailure,
        "\(path): \(error.reason)")
    }
    defer { closedir(directory) }
    var entries = 0
    while readdir(directory) != nil { entries += 1 }
    return entries <= 2
  }

  static func resolve(_ path: String) throws(ImageMountError) -> String {
    do {
      return try PathName.resolved(path)
    } catch {
      switch error.code {
      case .noSuchFileOrDirectory:
        throw ImageMountError(
          .mountpointMissing, "\(path): no such directory", advice: "Make it: mkdir -p \(path)")
      case .notDirectory: throw notDirectory(path)
      case .permissionDenied:
        throw ImageMountError(.permissionDenied, "\(path): \(error.reason)")
      default: throw ImageMountError(.systemFailure, "\(error)")
      }
    }
  }

  static func entry(at path: String) throws(ImageMountError) -> MountEntry? {
    do { return try MountTable.entry(at: path) } catch {
      throw ImageMountError(.systemFailure, "cannot read the mount table: \(error)")
    }
  }
}
