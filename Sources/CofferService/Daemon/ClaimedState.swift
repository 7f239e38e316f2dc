import Glibc
import HostSystem

/// Where one instance keeps everything, and the lock that makes it the only one there.
///
///     cofferd.lock   the lock; holds the pid
///     private/       0700: master key and databases
///     pool/          the images, each its owner's
struct ClaimedState: ~Copyable {
  let path: String
  private let lock: Descriptor

  var privatePath: String { "\(path)/private" }
  var poolPath: String { "\(path)/pool" }
  var keysPath: String { "\(privatePath)/keys" }
  var ordersPath: String { "\(privatePath)/orders.sqlite" }
  var auditPath: String { "\(privatePath)/audit.log" }
  var catalogPath: String { "\(privatePath)/catalog.sqlite" }

  /// Makes the directory when it is not there, and locks it.
  ///
  /// When the lock is held, the holder may be stopping: waits until it is gone, or answers on `socket`.
  static func claim(_ path: String, socket: String) throws(DaemonError) -> ClaimedState {
    // Users reach the pool's images by path, so root's instance lets them pass through.
    try makeDirectory(path, mode: geteuid() == 0 ? 0o711 : 0o700)
    let lock: Descriptor
    do {
      lock = try Descriptor.open("\(path)/cofferd.lock", O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
    } catch {
      throw DaemonError(.state, "cannot open the lock file: \(error)")
    }
    var attempts = 0
    while flock(lock.rawValue, LOCK_EX | LOCK_NB) != 0 {
      let reason = errno
      guard reason == EWOULDBLOCK || reason == EINTR else {
        throw DaemonError(
          .state, "cannot lock \(path)/cofferd.lock: \(String(cString: strerror(reason)))")
      }
      attempts += 1
      if attempts > 100 || (try? UnixSocket.connect(to: socket)) != nil {
        throw DaemonError(
          .alreadyRunning,
          "cofferd already runs with the state directory \(path)\(holder(of: lock)); "
            + "stop it first, or choose another directory with --state")
      }
      usleep(50_000)
    }
    let directory = ClaimedState(path: path, lock: lock)
    try directory.notePID()
    try makeDirectory(directory.privatePath, mode: 0o700)
    return directory
  }

  /// Gives the directory up; to be called last, so that the lock is held until then.
  consuming func release() {}

  private init(path: String, lock: consuming Descriptor) {
    self.path = path
    self.lock = lock
  }

  private borrowing func notePID() throws(DaemonError) {
    do {
      let number = lock.rawValue
      _ = try retrying("ftruncate", "cofferd.lock") { ftruncate(number, 0) }
      let text = "\(getpid())\n"
      _ = try retrying("pwrite", "cofferd.lock") { pwrite(number, text, text.utf8.count, 0) }
    } catch {
      throw DaemonError(.state, "cannot write to the state directory \(path): \(error)")
    }
  }

  /// `, pid 123`, where the lock file says so.
  private static func holder(of lock: borrowing Descriptor) -> String {
    var bytes = [UInt8](repeating: 0, count: 16)
    let count = pread(lock.rawValue, &bytes, bytes.count, 0)
    let digits = bytes.prefix(max(count, 0)).prefix { $0 != UInt8(ascii: "\n") }
    guard let pid = Int32(String(decoding: digits, as: UTF8.self)) else { return "" }
    return ", pid \(pid)"
  }
}

/// A directory of exactly that mode that belongs to this user, made with its parents when it is not there.
func makeDirectory(_ path: String, mode: mode_t) throws(DaemonError) {
  do {
    try makeParents(of: path)
    if mkdir(path, mode) != 0, errno != EEXIST { throw SystemError.current("mkdir", path) }
    let directory = try Descriptor.open(path, O_RDONLY | O_DIRECTORY)
    let status = try directory.status()
    guard status.st_uid == geteuid() else {
      throw DaemonError(
        .state, "the directory \(path) belongs to user \(status.st_uid), not to user \(geteuid())")
    }
    if status.st_mode & 0o7777 != mode, fchmod(directory.rawValue, mode) != 0 {
      throw SystemError.current("chmod", path)
    }
  } catch let error as DaemonError {
    throw error
  } catch {
    throw DaemonError(.state, "cannot make the directory \(path): \(error)")
  }
}

/// mkdir -p of the directory that holds `path`; new ones can be entered by others only when root makes them.
func makeParents(of path: String) throws(SystemError) {
  var parents: [String] = []
  var rest = path[...]
  while let slash = rest.lastIndex(of: "/"), slash > rest.startIndex {
    rest = rest[..<slash]
    parents.append(String(rest))
  }
  for parent in parents.reversed() where access(parent, F_OK) != 0 {
    let mode: mode_t = geteuid() == 0 ? 0o755 : 0o700
    guard mkdir(parent, mode) == 0 else {
      if errno == EEXIST { continue }
      throw .current("mkdir", parent)
    }
    // Whatever the umask is.
    chmod(parent, mode)
  }
}
