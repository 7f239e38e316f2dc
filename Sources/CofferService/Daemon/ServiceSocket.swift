import Glibc
import HostSystem

/// The path at which clients find the service.
///
/// The socket is bound under a name of its own, gets its mode there and is renamed into place: so it never
/// shows with another mode, and replaces what a dead instance left in one step.
struct ServiceSocket: Sendable {
  /// The longest path that a Unix socket can have, in bytes, unix(7).
  static let pathLimit = 107

  let path: String
  let mode: mode_t
  /// Where to bind.
  let temporaryPath: String

  /// To be called with the lock of the state directory held.
  init(path: String, mode: mode_t) throws(DaemonError) {
    self.path = path
    self.mode = mode
    let directory = path.lastIndex(of: "/").map { path[...$0] } ?? ""
    temporaryPath = "\(directory).\(getpid())"
    guard max(path.utf8.count, temporaryPath.utf8.count) <= Self.pathLimit else {
      throw DaemonError(
        .socket,
        "the socket's path \(path) is too long for a Unix socket (\(Self.pathLimit) bytes at most); "
          + "choose a shorter one with --socket")
    }
    do {
      try makeParents(of: path)
    } catch {
      throw DaemonError(.socket, "cannot make the directory of the socket \(path): \(error)")
    }
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw DaemonError(.socket, "\(path) is there and is no socket; choose another with --socket")
    }
    do {
      _ = try UnixSocket.connect(to: path)
    } catch  where error.code == .connectionRefused || error.code == .noSuchFileOrDirectory {
      return
    } catch {
      throw DaemonError(.socket, "cannot tell whether somebody listens on \(path): \(error)")
    }
    throw DaemonError(
      .alreadyRunning,
      "another service answers on \(path); stop it first, or choose another path with --socket")
  }

  /// Gives the bound socket its mode and name.
  func publish() throws(SystemError) -> PublishedSocket {
    var status = stat()
    _ = try retrying("stat", temporaryPath) { lstat(temporaryPath, &status) }
    _ = try retrying("chmod", temporaryPath) { chmod(temporaryPath, mode) }
    _ = try retrying("rename", path) { rename(temporaryPath, path) }
    return PublishedSocket(path: path, device: status.st_dev, inode: status.st_ino)
  }
}

/// A socket that clients can reach.
struct PublishedSocket: Sendable {
  let path: String
  fileprivate let device: dev_t
  fileprivate let inode: ino_t

  /// Removes it, unless another has taken its place.
  func remove() {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_dev == device, status.st_ino == inode else { return }
    unlink(path)
  }
}
