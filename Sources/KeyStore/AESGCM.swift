import CCrypto
import SecretMemory

/// AES-256-GCM (NIST SP 800-38D) by libcrypto, with 96-bit nonces and 128-bit tags.
enum AESGCM {
  /// In bytes.
  static let keyLength = 32
  /// In bytes.
  static let nonceLength = 12
  /// In bytes.
  static let tagLength = 16

  /// Appends the ciphertext of `plaintext` and the tag to `output`.
  ///
  /// - Parameters:
  ///   - key: `keyLength` bytes.
  ///   - nonce: `nonceLength` bytes, never used twice with one key.
  static func seal(
    _ plaintext: borrowing SecretBytes, key: borrowing SecretBytes, nonce: [UInt8],
    associatedData: [UInt8], to output: inout [UInt8]
  ) throws(KeyStoreError) {
    precondition(key.count == keyLength && nonce.count == nonceLength)
    let context = try Context()
    let start = output.count
    output.append(contentsOf: repeatElement(0, count: plaintext.count + tagLength))
    var written: Int32 = 0
    let sealed = output.withUnsafeMutableBytes { output in
      let output = UnsafeMutableRawBufferPointer(rebasing: output[start...])
        .assumingMemoryBound(to: UInt8.self)
      return key.withUnsafeBytes { key in
        EVP_EncryptInit_ex2(context.pointer, cipher.pointer, bytes(key), nonce, nil)
      } == 1
        && EVP_EncryptUpdate(
          context.pointer, nil, &written, associatedData, Int32(associatedData.count)) == 1
        && plaintext.withUnsafeBytes { plaintext in
          EVP_EncryptUpdate(
            context.pointer, output.baseAddress, &written, bytes(plaintext),
            Int32(plaintext.count))
        } == 1
        && EVP_EncryptFinal_ex(context.pointer, output.baseAddress! + plaintext.count, &written)
          == 1
        && EVP_CIPHER_CTX_ctrl(
          context.pointer, EVP_CTRL_AEAD_GET_TAG, Int32(tagLength),
          output.baseAddress! + plaintext.count) == 1
    }
    guard sealed else { throw .cryptography("libcrypto's AES-256-GCM failed") }
  }

  /// The plaintext, or nil when the tag does not verify.
  ///
  /// - Parameter sealed: the ciphertext, then the tag.
  static func open(
    _ sealed: some Collection<UInt8>, key: borrowing SecretBytes, nonce: [UInt8],
    associatedData: [UInt8]
  ) throws(KeyStoreError) -> SecretBytes? {
    precondition(key.count == keyLength && nonce.count == nonceLength)
    let length = sealed.count - tagLength
    guard length >= 0 else { return nil }
    let ciphertext = Array(sealed.prefix(length))
    var tag = Array(sealed.suffix(tagLength))
    let context = try Context()
    var plaintext: SecretBytes
    do {
      plaintext = try .zeroed(count: length)
    } catch {
      throw .secretMemory(error)
    }
    var written: Int32 = 0
    let ready =
      key.withUnsafeBytes { key in
        EVP_DecryptInit_ex2(context.pointer, cipher.pointer, bytes(key), nonce, nil)
      } == 1
      && EVP_CIPHER_CTX_ctrl(
        context.pointer, EVP_CTRL_AEAD_SET_TAG, Int32(tagLength), &tag) == 1
      && EVP_DecryptUpdate(
        context.pointer, nil, &written, associatedData, Int32(associatedData.count)) == 1
    guard ready else { throw .cryptography("libcrypto's AES-256-GCM failed") }
    let verified = plaintext.withUnsafeMutableBytes { plaintext in
      // Without a plaintext the pointer still points at a mapped page, as libcrypto wants.
      let output = plaintext.baseAddress!.assumingMemoryBound(to: UInt8.self)
      return EVP_DecryptUpdate(context.pointer, output, &written, ciphertext, Int32(length)) == 1
        && EVP_DecryptFinal_ex(context.pointer, output + length, &written) == 1
    }
    guard verified else { return nil }
    return plaintext
  }

  private static func bytes(_ buffer: UnsafeRawBufferPointer) -> UnsafePointer<UInt8>? {
    buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
  }

  /// Fetched once: looking an algorithm up by name for each use costs more than using it.
  private static let cipher = Cipher(pointer: EVP_CIPHER_fetch(nil, "AES-256-GCM", nil))

  // @unchecked: an EVP_CIPHER is immutable after it was fetched (crypto(7), "FETCHING").
  private struct Cipher: @unchecked Sendable {
    let pointer: OpaquePointer?
  }

  /// An EVP_CIPHER_CTX, whose key schedule is wiped when the value ends.
  private struct Context: ~Copyable {
    let pointer: OpaquePointer

    init() throws(KeyStoreError) {
      guard AESGCM.cipher.pointer != nil else {
        throw .cryptography("libcrypto has no AES-256-GCM: check its providers (openssl.cnf)")
      }
      guard let pointer = EVP_CIPHER_CTX_new() else {
        throw .cryptography("libcrypto is out of memory")
      }
      self.pointer = pointer
    }

    deinit {
      EVP_CIPHER_CTX_free(pointer)
    }
  }
}
