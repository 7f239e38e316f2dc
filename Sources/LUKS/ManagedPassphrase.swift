public import SecretMemory

/// The passphrase of a managed keyslot.
public enum ManagedPassphrase {
  /// The key's bytes as lowercase hexadecimal: what OpenStack's Cinder and Nova use, so that their
  /// volumes open here and Coffer's there.
  ///
  /// Throws when memory cannot be locked.
  public static func of(
    key: borrowing SecretBytes
  ) throws(SecretMemoryError) -> SecretBytes {
    try key.hexadecimal()
  }
}

/// What encrypts an image's data, and which keyslot gave it.
public struct VolumeKey: ~Copyable, Sendable {
  /// 32 or 64 bytes: for AES-XTS the data key, then the tweak key.
  public let bytes: SecretBytes
  /// The number of the keyslot that the passphrase opened.
  public let keyslot: Int

  /// Takes over `bytes`.
  public init(bytes: consuming SecretBytes, keyslot: Int) {
    self.bytes = bytes
    self.keyslot = keyslot
  }
}
