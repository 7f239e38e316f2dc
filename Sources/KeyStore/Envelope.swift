import SecretMemory

/// A secret wrapped under another one.
///
/// As bytes: a format version (1), the nonce (12), the ciphertext, the tag (16). Each wrapping draws a
/// fresh random nonce; SP 800-38D section 8.3 allows 2^32 of them under one key.
enum Envelope {
  private static let version: UInt8 = 1
  private static let headerLength = 1 + AESGCM.nonceLength

  /// How many bytes the envelope of a secret has.
  static func length(of count: Int) -> Int { headerLength + count + AESGCM.tagLength }

  /// Wraps `secret`, which may be empty.
  static func seal(
    _ secret: borrowing SecretBytes, under key: borrowing SecretBytes,
    bindingTo data: AssociatedData
  ) throws(KeyStoreError) -> [UInt8] {
    var nonce = [UInt8](repeating: 0, count: AESGCM.nonceLength)
    let random = nonce.withUnsafeMutableBytes { RandomBytes.fill($0) }
    guard random else { throw .cryptography("libcrypto's random generator failed") }
    var sealed = [version] + nonce
    try AESGCM.seal(secret, key: key, nonce: nonce, associatedData: data.bytes, to: &sealed)
    return sealed
  }

  /// The secret; nil when `sealed` was not made by `seal` with the same key and data.
  static func open(
    _ sealed: [UInt8], under key: borrowing SecretBytes, bindingTo data: AssociatedData
  ) throws(KeyStoreError) -> SecretBytes? {
    guard sealed.count >= headerLength, sealed[0] == version else { return nil }
    return try AESGCM.open(
      sealed[headerLength...], key: key, nonce: Array(sealed[1..<headerLength]),
      associatedData: data.bytes)
  }
}
