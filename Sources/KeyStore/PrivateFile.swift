import Glibc
import HostSystem
import KeyManager

/// Files and directories that nobody but this process's user may touch.
enum PrivateFile {
  /// Refuses what belongs to another user or gives group or others any right.
  ///
  /// - Parameter mode: what chmod(1) should set.
  static func check(_ status: stat, path: String, mode: String) throws(KeyManagerError) {
    guard status.st_uid == geteuid() else {
      throw KeyManagerError(
        .unavailable,
        "\(path) belongs to user \(status.st_uid), not to user \(geteuid()) who runs this: use "
          + "another directory, or correct its owner (chown)")
    }
    guard status.st_mode & 0o077 == 0 else {
      throw KeyManagerError(
        .unavailable,
        "\(path) is open to others (mode \(String(status.st_mode & 0o7777, radix: 8))): make it "
          + "private (chmod \(mode))")
    }
  }

  /// Makes the directory, durably and with mode 0700, when it is missing; its parent must exist.
  static func makeDirectory(_ path: String) throws(KeyManagerError) {
    let status = try naming("cannot use the directory for keys") { () throws(SystemError) in
      if mkdir(path, 0o700) == 0 {
        let parent = try Descriptor.open(path + "/..", O_RDONLY | O_DIRECTORY)
        let number = parent.rawValue
        _ = try retrying("fsync", path + "/..") { fsync(number) }
      } else if errno != EEXIST {
        throw .current("mkdir", path)
      }
      return try Descriptor.open(path, O_RDONLY | O_DIRECTORY).status()
    }
    try check(status, path: path, mode: "700")
  }

  /// The lock that keeps a second key manager out of the directory, held while the descriptor is open.
  ///
  /// - Parameter patience: how long to wait for one that is about to end, in seconds.
  static func lock(_ path: String, patience: Double) throws(KeyManagerError) -> Descriptor {
    let failure = "cannot lock the directory for keys"
    let file = try naming(failure) { () throws(SystemError) in
      try Descriptor.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
    }
    let clock = ContinuousClock()
    let end = clock.now + .seconds(patience)
    while !(try naming(failure) { () throws(SystemError) in
      try ImageLock.tryLock(file, exclusive: true)
    }) {
      guard clock.now < end else {
        throw KeyManagerError(
          .unavailable,
          "another key manager uses these keys (it holds the lock on \(path)): use that one, or end it"
        )
      }
      usleep(20_000)
    }
    return file
  }

  private static func naming<Value: ~Copyable>(
    _ failure: String, _ body: () throws(SystemError) -> Value
  ) throws(KeyManagerError) -> Value {
    do {
      return try body()
    } catch {
      throw KeyManagerError(.unavailable, "\(failure): \(error)")
    }
  }
}
