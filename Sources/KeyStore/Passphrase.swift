import Glibc
import HostSystem
public import SecretMemory

/// What protects a master key's file.
public final class Passphrase: Sendable {
  let bytes: SecretBytes

  /// - Parameter bytes: 1 byte or more.
  public init(_ bytes: consuming SecretBytes) {
    self.bytes = bytes
  }

  /// In bytes.
  private static let limit = 4096

  /// Reads a file that its owner alone may read; one newline at its end is dropped.
  public static func read(file path: String) throws -> Passphrase {
    let text = try SecretFile.read(path, limit: limit, isPrivate: true)
    let length = text.withUnsafeBytes { text in
      text.last == UInt8(ascii: "\n") ? text.count - 1 : text.count
    }
    guard length > 0 else {
      throw MasterKeyStoreError.malformed("\(path) holds no passphrase: it is empty")
    }
    return Passphrase(try text.prefix(length))
  }

  /// Reads a credential that systemd passed to this service.
  public static func read(credential name: String) throws -> Passphrase {
    try read(file: try SystemdCredential.path(of: name))
  }
}
