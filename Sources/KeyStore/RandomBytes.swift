import CCrypto
import SecretMemory

/// Random bytes from libcrypto's private generator, RAND_priv_bytes(3).
enum RandomBytes {
  /// A secret of `count` random bytes, made in locked memory.
  static func secret(count: Int) throws(KeyStoreError) -> SecretBytes {
    var secret: SecretBytes
    do {
      secret = try .zeroed(count: count)
    } catch {
      throw .secretMemory(error)
    }
    let done = secret.withUnsafeMutableBytes { fill($0) }
    guard done else { throw .cryptography("libcrypto's random generator failed") }
    return secret
  }

  /// Fills `buffer` with random bytes that need not stay secret, a nonce for example.
  static func fill(_ buffer: UnsafeMutableRawBufferPointer) -> Bool {
    guard let start = buffer.baseAddress else { return true }
    return RAND_priv_bytes(start.assumingMemoryBound(to: UInt8.self), Int32(buffer.count)) == 1
  }
}
