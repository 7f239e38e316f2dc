import Glibc
import SystemPackage

/// Where a user's sockets lie while the machine runs.
public enum RuntimeDirectory {
  /// The directories that may be a user's, the preferred one first.
  ///
  /// - Parameter runtime: the user's `XDG_RUNTIME_DIR`, where it is known.
  public static func candidates(uid: UInt32, runtime: String?) -> [String] {
    if uid == 0 { return ["/run/coffer"] }
    let given = runtime.flatMap { $0.hasPrefix("/") ? "\($0)/coffer" : nil }
    return (given.map { [$0] } ?? []) + ["/run/user/\(uid)/coffer", "/tmp/coffer-\(uid)"]
  }

  /// This user's own directory, made when it is missing.
  ///
  /// It is refused when it belongs to somebody else, is a link, or lets others write: under `/tmp` anyone
  /// could have made it first.
  public static func own() throws(SystemError) -> String {
    let uid = geteuid()
    let runtime = getenv("XDG_RUNTIME_DIR").map { String(cString: $0) }
    var last = SystemError(.noSuchFileOrDirectory, call: "mkdir", subject: nil)
    for path in candidates(uid: uid, runtime: runtime) {
      do {
        try makePrivate(path, mode: uid == 0 ? 0o755 : 0o700)
        return path
      } catch {
        last = error
        if error.code != .noSuchFileOrDirectory { throw error }
      }
    }
    throw last
  }

  /// Makes `path` unless it is there, and checks that it is this user's alone to write.
  public static func makePrivate(_ path: String, mode: UInt32 = 0o700) throws(SystemError) {
    if mkdir(path, mode) == 0 {
      // mkdir applies the umask.
      chmod(path, mode)
    } else if errno != EEXIST {
      throw .current("mkdir", path)
    }
    var status = stat()
    guard lstat(path, &status) == 0 else { throw .current("lstat", path) }
    guard status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(),
      status.st_mode & 0o022 == 0
    else {
      throw SystemError(
        .notPermitted, call: "it must be a directory of this user, closed to others",
        subject: path)
    }
  }
}
