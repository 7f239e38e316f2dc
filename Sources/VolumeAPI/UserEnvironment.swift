import Glibc

/// What is known of the user and the machine when looking for `cofferd`.
public struct UserEnvironment: Sendable {
  /// What lstat(2) says of a path.
  public struct FileStatus: Sendable, Equatable {
    public var isDirectory: Bool
    public var owner: UInt32
    /// The lower nine bits of the mode.
    public var permissions: UInt32

    public init(isDirectory: Bool, owner: UInt32, permissions: UInt32) {
      self.isDirectory = isDirectory
      self.owner = owner
      self.permissions = permissions
    }

    /// Whether it is a directory in which `uid` and no one else may make files.
    func isWritableOnly(by uid: UInt32) -> Bool {
      isDirectory && owner == uid && permissions & 0o022 == 0
    }

    /// Whether it is a directory that `uid` owns and no one else may enter.
    func isPrivateDirectory(of uid: UInt32) -> Bool {
      isDirectory && owner == uid && permissions == 0o700
    }
  }

  /// The effective user ID.
  public let uid: UInt32
  private let variables: @Sendable (String) -> String?
  private let currentDirectory: @Sendable () -> String
  /// What is at a path, links not followed; nil when nothing is.
  public let status: @Sendable (String) -> FileStatus?
  /// Whether a Unix socket takes a connection.
  public let canConnect: @Sendable (String) -> Bool

  public init(
    uid: UInt32, variables: @escaping @Sendable (String) -> String?,
    currentDirectory: @escaping @Sendable () -> String,
    status: @escaping @Sendable (String) -> FileStatus?,
    canConnect: @escaping @Sendable (String) -> Bool
  ) {
    self.uid = uid
    self.variables = variables
    self.currentDirectory = currentDirectory
    self.status = status
    self.canConnect = canConnect
  }

  /// Of this process.
  public static let current = UserEnvironment(
    uid: geteuid(),
    variables: { name in getenv(name).map { String(cString: $0) } },
    currentDirectory: {
      guard let path = getcwd(nil, 0) else { return "/" }
      defer { free(path) }
      return String(cString: path)
    },
    status: { path in
      var status = stat()
      guard lstat(path, &status) == 0 else { return nil }
      return FileStatus(
        isDirectory: status.st_mode & S_IFMT == S_IFDIR, owner: status.st_uid,
        permissions: status.st_mode & 0o777)
    },
    canConnect: connects)

  /// A variable that is set and not empty.
  func variable(_ name: String) -> String? {
    variables(name).flatMap { $0.isEmpty ? nil : $0 }
  }

  /// A directory that a variable names; relative ones do not count (XDG Base Directory Specification).
  func absoluteVariable(_ name: String) -> String? {
    variable(name).flatMap { $0.hasPrefix("/") ? $0 : nil }
  }

  func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : "\(currentDirectory())/\(path)"
  }
}

/// connect(2), without waiting.
@Sendable private func connects(_ path: String) -> Bool {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  let bytes = Array(path.utf8)
  guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
  let type =
    Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
  let number = socket(AF_UNIX, type, 0)
  guard number >= 0 else { return false }
  defer { close(number) }
  let result = withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      connect(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
  // EAGAIN: the instance is there, with many waiting.
  return result == 0 || errno == EAGAIN
}
