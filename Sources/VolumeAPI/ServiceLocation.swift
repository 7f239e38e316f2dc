import Glibc

/// Which `cofferd` to talk to.
public struct ServiceLocation: Sendable, Equatable {
  /// Whose choice it is, and so whether it may be started when it does not run.
  public enum Kind: Sendable {
    /// Named by the user: never started by itself.
    case explicit
    /// The machine's: started by its administrator.
    case system
    /// The user's own: started when needed.
    case own
  }

  /// The absolute path of the Unix socket.
  public let socket: String
  public let kind: Kind

  public init(socket: String, kind: Kind) {
    self.socket = socket
    self.kind = kind
  }

  /// The socket of the machine's instance.
  public static let systemSocket = "/run/coffer/cofferd.sock"

  /// The first that holds: `--socket`, `COFFER_SOCKET`, the machine's instance (for root always, for
  /// others if it takes their connection), and the user's own in the runtime directory.
  ///
  /// - Parameter socket: the value of `--socket`.
  public static func find(
    socket: String? = nil, for user: UserEnvironment
  ) throws(VolumeError) -> ServiceLocation {
    if let named = socket ?? user.variable("COFFER_SOCKET") {
      return try checked(ServiceLocation(socket: user.absolute(named), kind: .explicit))
    }
    if user.uid == 0 || user.canConnect(systemSocket) {
      return ServiceLocation(socket: systemSocket, kind: .system)
    }
    let directory = try ownDirectory(for: user)
    return try checked(ServiceLocation(socket: "\(directory)/cofferd.sock", kind: .own))
  }

  /// Makes the socket's directory before its service is started, or checks the one that is there: mode
  /// 0700 for a user's own, 0755 for the machine's. One that the user named is left alone.
  public func prepareDirectory(for user: UserEnvironment) throws(VolumeError) {
    guard kind != .explicit, let slash = socket.lastIndex(of: "/") else { return }
    let directory = String(socket[..<slash])
    let mode: mode_t = kind == .own ? 0o700 : 0o755
    if mkdir(directory, mode) == 0 {
      // Whatever the umask says.
      chmod(directory, mode)
      return
    }
    let reason = errno
    guard reason == EEXIST, let status = user.status(directory) else {
      throw VolumeError(
        .inputOutput, "cannot make directory \(directory): \(String(cString: strerror(reason)))",
        advice: "Name another socket with --socket.")
    }
    let isSafe =
      kind == .own ? status.isPrivateDirectory(of: user.uid) : status.isWritableOnly(by: user.uid)
    guard isSafe else { throw Self.unsafe(directory, user) }
  }

  /// Where the user's own socket lies.
  private static func ownDirectory(for user: UserEnvironment) throws(VolumeError) -> String {
    let candidates = [user.absoluteVariable("XDG_RUNTIME_DIR"), "/run/user/\(user.uid)"]
    for case let runtime? in candidates {
      // A variable kept through su(1) names another user's directory.
      if user.status(runtime)?.isWritableOnly(by: user.uid) == true { return "\(runtime)/coffer" }
    }
    // Anyone may make a name in /tmp.
    let fallback = "/tmp/coffer-\(user.uid)"
    if let status = user.status(fallback), !status.isPrivateDirectory(of: user.uid) {
      throw unsafe(fallback, user)
    }
    return fallback
  }

  private static func unsafe(_ directory: String, _ user: UserEnvironment) -> VolumeError {
    VolumeError(
      .notAuthorized,
      "\(directory) is not a directory of user \(user.uid) alone, so it may be a trap",
      advice: "Remove it, set XDG_RUNTIME_DIR, or name a socket with --socket.")
  }

  /// Refuses a path that no Unix socket can have (unix(7): 108 bytes with the final zero).
  private static func checked(_ location: ServiceLocation) throws(VolumeError) -> ServiceLocation {
    let length = location.socket.utf8.count
    guard length <= 107 else {
      throw VolumeError(
        .invalidRequest, "the socket's path \(location.socket) is \(length) bytes long, over 107",
        advice: "Name a shorter one with --socket or COFFER_SOCKET.")
    }
    return location
  }
}

/// Where a user's own `cofferd` keeps its state.
public enum StateDirectory {
  /// `/var/lib/coffer` for root, for others `coffer` in `$XDG_DATA_HOME` or `$HOME/.local/share` (XDG
  /// Base Directory Specification).
  public static func path(for user: UserEnvironment) throws(VolumeError) -> String {
    if user.uid == 0 { return "/var/lib/coffer" }
    if let data = user.absoluteVariable("XDG_DATA_HOME") { return "\(data)/coffer" }
    if let home = user.absoluteVariable("HOME") { return "\(home)/.local/share/coffer" }
    throw VolumeError(
      .invalidRequest, "cannot tell where to keep keys: neither XDG_DATA_HOME nor HOME is set",
      advice: "Set HOME, or name a directory with --state.")
  }
}
