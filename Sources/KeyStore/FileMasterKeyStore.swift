import Glibc
import HostSystem
public import KeyManager
import SecretMemory

/// Keeps the master key in a file that its owner alone can read, optionally under a passphrase.
public struct FileMasterKeyStore: MasterKeyStore {
  /// What a save has done so far.
  enum SaveStep: Sendable, CaseIterable {
    case written, synced, renamed
  }

  /// The file's absolute path.
  public let path: String
  private let passphrase: Passphrase?
  private let reached: @Sendable (SaveStep) -> Void

  /// - Parameters:
  ///   - path: absolute. The directory must exist and be its owner's alone to write.
  ///   - passphrase: what the key is under within the file; nothing when nil.
  public init(path: String, passphrase: Passphrase? = nil) {
    self.init(path: path, passphrase: passphrase) { _ in }
  }

  init(
    path: String, passphrase: Passphrase? = nil, reached: @escaping @Sendable (SaveStep) -> Void
  ) {
    self.path = path
    self.passphrase = passphrase
    self.reached = reached
  }

  public var description: String { path }

  /// Where a save writes; one that was cut short leaves it behind.
  private var unfinishedPath: String { path + ".new" }

  private var directory: String {
    let parent = path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)
    return parent.isEmpty ? "/" : String(parent)
  }

  /// Reads the file; refuses one that is not a regular file of this process's user with no rights for
  /// group and others.
  public func load() throws -> MasterKey {
    let file = try open()
    let status = try file.status()
    try check(status)
    let text = try read(file, count: Int(status.st_size))
    try sync(file, path)
    try syncDirectory()
    return try MasterKeyText.decode(text, under: passphrase, from: path)
  }

  public func save(_ key: MasterKey) throws {
    let text = try MasterKeyText.encode(key, under: passphrase)
    try removeUnfinishedSave()
    do {
      try write(text)
      reached(.synced)
      _ = try retrying("rename", path) { rename(unfinishedPath, path) }
    } catch {
      unlink(unfinishedPath)
      throw error
    }
    reached(.renamed)
    try syncDirectory()
  }

  public func removeUnfinishedSave() throws {
    if unlink(unfinishedPath) != 0, errno != ENOENT {
      throw SystemError.current("unlink", unfinishedPath)
    }
  }

  /// When the file was written.
  public func saved() throws -> Timestamp? {
    let time = try open().status().st_mtim
    return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
  }

  private func open() throws -> Descriptor {
    do {
      return try Descriptor.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    } catch {
      switch error.code {
      case .noSuchFileOrDirectory:
        throw EmptyStoreError(store: path)
      case .tooManySymbolicLinkLevels:
        throw MasterKeyStoreError.unsafe(
          "\(path) is a symbolic link: put the master key file itself there")
      default:
        throw error
      }
    }
  }

  private func write(_ text: borrowing SecretBytes) throws {
    let file = try Descriptor.open(
      unfinishedPath, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
    let number = file.rawValue
    try text.withUnsafeBytes { text in
      var done = 0
      while done < text.count {
        done += try retrying("write", unfinishedPath) {
          Glibc.write(number, text.baseAddress! + done, text.count - done)
        }
      }
    }
    reached(.written)
    try sync(file, unfinishedPath)
  }

  private func check(_ status: stat) throws(MasterKeyStoreError) {
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw .unsafe("\(path) is not a regular file: put the master key file there")
    }
    guard status.st_uid == geteuid() else {
      throw .unsafe(
        "\(path) belongs to user \(status.st_uid), not to user \(geteuid()) who runs this: "
          + "it is not used, since its owner may know or change it; correct its owner (chown)")
    }
    guard status.st_mode & 0o077 == 0 else {
      throw .unsafe(
        "\(path) is open to others (mode \(String(status.st_mode & 0o7777, radix: 8))): "
          + "make it private (chmod 600) and renew the master key, since others may have read it")
    }
    guard status.st_nlink == 1 else {
      throw .unsafe("\(path) has \(status.st_nlink) hard links: remove the others")
    }
    guard status.st_size <= MasterKeyText.maximumLength else {
      throw .malformed("\(path) is too large for a master key file")
    }
  }

  private func read(_ file: borrowing Descriptor, count: Int) throws -> SecretBytes {
    var text = try SecretBytes.zeroed(count: count)
    let number = file.rawValue
    let length = try text.withUnsafeMutableBytes { text in
      var done = 0
      while done < text.count {
        let more = try retrying("read", path) {
          Glibc.read(number, text.baseAddress! + done, text.count - done)
        }
        if more == 0 { break }
        done += more
      }
      return done
    }
    return try text.prefix(length)
  }

  private func sync(_ file: borrowing Descriptor, _ subject: String) throws(SystemError) {
    let number = file.rawValue
    _ = try retrying("fsync", subject) { fsync(number) }
  }

  private func syncDirectory() throws(SystemError) {
    try sync(try .open(directory, O_RDONLY | O_DIRECTORY), directory)
  }
}
