internal import CCrypto
internal import Glibc
internal import SecretMemory

/// A kernel with a key schedule, which it owns.
// @unchecked: the functions are C functions that only read the context, or claim a part of it
// atomically; the context lives exactly as long as this value, which cannot be copied.
struct KeyedKernel: ~Copyable, @unchecked Sendable {
  /// Context, destination, source, sector count, sector size, first tweak, tweak step.
  typealias Transform =
    @convention(c) (
      OpaquePointer?, UnsafeMutableRawPointer?, UnsafeRawPointer?, Int, Int, UInt64, UInt64
    ) -> Void

  let context: OpaquePointer
  let encrypt: Transform
  let decrypt: Transform
  private let destroy: @convention(c) (OpaquePointer?) -> Void

  deinit { destroy(context) }

  /// `key` has 32 or 64 bytes.
  static func make(
    _ kernel: Kernel, key: borrowing SecretBytes
  ) throws(SectorCipherError) -> KeyedKernel {
    errno = 0
    let context = key.withUnsafeBytes { bytes in
      coffer_evp_xts_create(bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count)
    }
    guard let context else { throw .cannotSetKey(kernel, errno: errno) }
    return KeyedKernel(
      context: context, encrypt: coffer_evp_xts_encrypt, decrypt: coffer_evp_xts_decrypt,
      destroy: coffer_evp_xts_destroy)
  }
}

func reason(_ code: Int32) -> String { String(cString: strerror(code)) }
