public import KeyManager
import SecretMemory

/// The identifier of a master key.
public typealias MasterKeyID = ID<MasterKey>

/// The key that wraps every project's key.
public final class MasterKey: Identifiable, Sendable {
  /// Names the key without saying anything of its value; a renewed master key has a new one.
  public let id: MasterKeyID
  /// 32 bytes.
  let value: SecretBytes

  init(id: MasterKeyID, value: consuming SecretBytes) {
    precondition(value.count == AESGCM.keyLength)
    self.id = id
    self.value = value
  }

  /// A new random key.
  static func random() throws(KeyStoreError) -> MasterKey {
    MasterKey(id: .random(), value: try RandomBytes.secret(count: AESGCM.keyLength))
  }
}
