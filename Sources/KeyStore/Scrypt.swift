import CCrypto
import SecretMemory

/// Keys from passphrases by scrypt (RFC 7914), which costs an attacker memory for each guess.
struct Scrypt: Equatable {
  /// The logarithm of the cost N, to base 2.
  var logCost: Int
  /// The block size r.
  var blockSize: Int
  /// The parallelization p.
  var parallelization: Int
  /// `saltLength` bytes.
  var salt: [UInt8]

  static let saltLength = 16
  /// In bytes. More than the costliest accepted parameters take.
  private static let memoryLimit: UInt64 = 1 << 30

  /// 128 MiB and some tenths of a second.
  static func standard() throws(KeyStoreError) -> Scrypt {
    var salt = [UInt8](repeating: 0, count: saltLength)
    let random = salt.withUnsafeMutableBytes { RandomBytes.fill($0) }
    guard random else { throw .cryptography("libcrypto's random generator failed") }
    return Scrypt(logCost: 17, blockSize: 8, parallelization: 1, salt: salt)
  }

  /// Whether a file with these parameters is to be tried: they decide how much memory it takes.
  var isReasonable: Bool {
    (10...20).contains(logCost) && blockSize == 8 && (1...4).contains(parallelization)
  }

  /// The key of `count` bytes that a passphrase stands for.
  func key(
    from passphrase: borrowing SecretBytes, count: Int
  ) throws(KeyStoreError) -> SecretBytes {
    var key: SecretBytes
    do {
      key = try .zeroed(count: count)
    } catch {
      throw .secretMemory(error)
    }
    let done = passphrase.withUnsafeBytes { passphrase in
      key.withUnsafeMutableBytes { key in
        EVP_PBE_scrypt(
          passphrase.baseAddress?.assumingMemoryBound(to: CChar.self), passphrase.count, salt,
          salt.count, 1 << UInt64(logCost), UInt64(blockSize), UInt64(parallelization),
          Self.memoryLimit * 5 / 4, key.baseAddress?.assumingMemoryBound(to: UInt8.self), key.count)
      }
    }
    guard done == 1 else {
      throw .cryptography("libcrypto's scrypt failed: is there enough memory?")
    }
    return key
  }
}
