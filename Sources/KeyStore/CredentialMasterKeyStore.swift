import Glibc
public import KeyManager

/// A master key that systemd passes to the service as a credential (systemd.exec(5), LoadCredential= and
/// LoadCredentialEncrypted=): the text of a master key file.
///
/// It can only be read. To renew it, store another credential and restore the keys, or use a file.
public struct CredentialMasterKeyStore: MasterKeyStore {
  private let path: String

  /// - Parameter name: the credential's name, a file in `$CREDENTIALS_DIRECTORY`.
  public init(name: String) throws(MasterKeyStoreError) {
    path = try SystemdCredential.path(of: name)
  }

  public var description: String { path }

  public func load() throws -> MasterKey {
    let text = try SecretFile.read(path, limit: MasterKeyText.maximumLength, isPrivate: true)
    return try MasterKeyText.decode(text, under: nil, from: path)
  }

  public func save(_ key: MasterKey) throws {
    throw MasterKeyStoreError.readOnly(
      "\(path) is a credential, which only the administrator can replace: make a master key with "
        + "coffer master-key init, and pass it to the service as that credential")
  }

  public func removeUnfinishedSave() {}

  public func saved() -> Timestamp? { nil }
}

/// Where systemd puts a service's credentials.
enum SystemdCredential {
  static func path(of name: String) throws(MasterKeyStoreError) -> String {
    guard let directory = getenv("CREDENTIALS_DIRECTORY").map({ String(cString: $0) }),
      directory.hasPrefix("/")
    else {
      throw .unsafe(
        "there is no credential '\(name)': CREDENTIALS_DIRECTORY is not set; let systemd start the "
          + "service, with LoadCredential=\(name):…")
    }
    return "\(directory)/\(name)"
  }
}
