import Glibc
import HostSystem
import SystemPackage
import VolumeAPI

/// An open image of the pool, a regular file with one name that belongs to its volume's user.
final class PoolImage: Sendable {
  let descriptor: Descriptor

  init(_ descriptor: consuming Descriptor) {
    self.descriptor = descriptor
  }
}

/// The directory that holds the images for which no other place was asked, `<volume-id>.img` each.
///
/// Only the daemon's user can add, rename or remove a name in it, so a user cannot put another file in
/// an image's place; all the same each image is opened without following links and checked when open.
struct Pool: ~Copyable, Sendable {
  /// Absolute, without links.
  let path: String
  private let directory: Descriptor

  /// Opens the directory, and makes it with mode 0711 when it is not there.
  static func open(_ path: String) throws(VolumeError) -> Pool {
    try trying("cannot use the pool") { () throws(SystemError) in
      if mkdir(path, 0o711) != 0, errno != EEXIST { throw SystemError.current("mkdir", path) }
      let resolved = try PathName.resolved(path)
      let directory = try Descriptor.open(resolved, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      let status = try directory.status()
      // Else the pool's names could be changed under the daemon's hands.
      guard status.st_uid == geteuid() else {
        throw SystemError(.notPermitted, call: "owner", subject: path)
      }
      _ = try retrying("fchmod", path) { fchmod(directory.rawValue, 0o711) }
      return Pool(path: resolved, directory: directory)
    }
  }

  private init(path: String, directory: consuming Descriptor) {
    self.path = path
    self.directory = directory
  }

  func imagePath(of volume: VolumeID) -> String { "\(path)/\(Self.name(volume))" }

  private static func name(_ volume: VolumeID) -> String { "\(volume).img" }

  /// The lock that one daemon holds on the pool: of an open file description, so workers that inherit it
  /// hold it too.
  func lock() async throws(VolumeError) -> Descriptor {
    let number = directory.rawValue
    let file = try trying("cannot lock the pool") { () throws(SystemError) in
      Descriptor(
        adopting: try retrying("open", "\(path)/.lock") {
          openat(number, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        })
    }
    // A worker of a daemon that was killed a moment ago dies with it, but not in the same instant.
    for _ in 0..<100 {
      let locked = try trying("cannot lock the pool") { () throws(SystemError) in
        try ImageLock.tryLock(file, exclusive: true)
      }
      if locked { return file }
      try? await Task.sleep(for: .milliseconds(50))
    }
    throw VolumeError(
      .inUse, "the pool \(path) is in use by another cofferd", advice: "Stop that one first.")
  }

  /// Makes an empty image that belongs to `user`. Throws when there is a file of that name.
  func createImage(
    of volume: VolumeID, for user: WorkerUser
  ) throws(VolumeError) -> PoolImage {
    let path = imagePath(of: volume)
    let number = directory.rawValue
    let file = try trying("cannot create the image") { () throws(SystemError) in
      Descriptor(
        adopting: try retrying("open", path) {
          openat(
            number, Self.name(volume), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        })
    }
    try Self.check(file, owner: geteuid(), path)
    try trying("cannot create the image") { () throws(SystemError) in
      if geteuid() == 0 {
        _ = try retrying("fchown", path) { fchown(file.rawValue, user.uid, user.gid) }
      }
      _ = try retrying("fsync", path) { fsync(number) }
    }
    return PoolImage(file)
  }

  /// Opens an image for its deletion; nil when it is not there.
  ///
  /// Throws when what is there is not a regular file with one name that belongs to `owner`.
  func openImage(of volume: VolumeID, owner: UInt32) throws(VolumeError) -> PoolImage? {
    let path = imagePath(of: volume)
    let number = directory.rawValue
    let opened = openat(
      number, Self.name(volume), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0)
    if opened < 0 {
      if errno == ENOENT { return nil }
      if errno == ELOOP { throw Self.refusal(path, "it is a symbolic link") }
      throw VolumeError("cannot open the image", .current("open", path))
    }
    let file = Descriptor(adopting: opened)
    try Self.check(file, owner: owner, path)
    return PoolImage(file)
  }

  /// Removes an image's name; nothing happens when it is not there.
  func removeImage(of volume: VolumeID) throws(VolumeError) {
    let path = imagePath(of: volume)
    let number = directory.rawValue
    try trying("cannot remove the image") { () throws(SystemError) in
      if unlinkat(number, Self.name(volume), 0) != 0, errno != ENOENT {
        throw SystemError.current("unlink", path)
      }
      _ = try retrying("fsync", path) { fsync(number) }
    }
  }

  private static func check(
    _ file: borrowing Descriptor, owner: UInt32, _ path: String
  ) throws(VolumeError) {
    let status = try trying("cannot use the image") { () throws(SystemError) in try file.status() }
    if status.st_mode & S_IFMT != S_IFREG { throw refusal(path, "it is not a regular file") }
    if status.st_nlink != 1 {
      throw refusal(path, "it has \(status.st_nlink) names (hard links)")
    }
    if status.st_uid != owner {
      throw refusal(path, "it belongs to user \(status.st_uid), not to user \(owner)")
    }
  }

  private static func refusal(_ path: String, _ reason: String) -> VolumeError {
    VolumeError(
      .notAuthorized, "\(path) is not touched, since it is not as Coffer made it: \(reason)",
      advice:
        "Put it back as it was: a regular file with one name that belongs to the volume's user.")
  }
}
