import Glibc
import HostSystem
import SecretMemory

/// Reads small files that hold secrets.
enum SecretFile {
  /// The file's content, in locked memory.
  ///
  /// - Parameters:
  ///   - limit: in bytes.
  ///   - isPrivate: refuse a file of another user but root, or that others may read or change.
  /// - Throws: `EmptyStoreError` when there is no such file.
  static func read(_ path: String, limit: Int, isPrivate: Bool) throws -> SecretBytes {
    let file = try open(path)
    let status = try file.status()
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw MasterKeyStoreError.unsafe("\(path) is not a regular file")
    }
    guard !isPrivate || status.st_uid == geteuid() || status.st_uid == 0 else {
      throw MasterKeyStoreError.unsafe(
        "\(path) belongs to user \(status.st_uid), who may know or change it: correct its owner (chown)"
      )
    }
    // Where a service has a user of its own, systemd gives it its credentials by an ACL, whose mask shows
    // as the group's rights.
    guard !isPrivate || status.st_mode & 0o027 == 0 else {
      throw MasterKeyStoreError.unsafe(
        "\(path) is open to others (mode \(String(status.st_mode & 0o7777, radix: 8))): make it private "
          + "(chmod 600) and change what it holds, since others may have read it")
    }
    guard status.st_size <= limit else {
      throw MasterKeyStoreError.malformed("\(path) has more than \(limit) bytes")
    }
    var content = try SecretBytes.zeroed(count: limit)
    let number = file.rawValue
    let length = try content.withUnsafeMutableBytes { content in
      var done = 0
      while done < content.count {
        let more = try retrying("read", path) {
          Glibc.read(number, content.baseAddress! + done, content.count - done)
        }
        if more == 0 { break }
        done += more
      }
      return done
    }
    return try content.prefix(length)
  }

  private static func open(_ path: String) throws -> Descriptor {
    do {
      return try Descriptor.open(path, O_RDONLY | O_NONBLOCK)
    } catch  where error.code == .noSuchFileOrDirectory {
      throw EmptyStoreError(store: path)
    }
  }
}
