internal import CCrypto
internal import CXTS
internal import Glibc
internal import SecretMemory

/// A kernel with a key schedule, which it owns.
// @unchecked: the functions are C functions that only read the context, or claim a part of it
// atomically; the context lives exactly as long as this value, which cannot be copied.
package struct KeyedKernel: ~Copyable, @unchecked Sendable {
  /// Context, destination, source, sector count, sector size, first tweak, tweak step.
  package typealias Transform =
    @convention(c) (
      OpaquePointer?, UnsafeMutableRawPointer?, UnsafeRawPointer?, Int, Int, UInt64, UInt64
    ) -> Void

  let context: OpaquePointer
  let encrypt: Transform
  let decrypt: Transform
  let destroy: @convention(c) (OpaquePointer?) -> Void

  package init(
    context: OpaquePointer, encrypt: @escaping Transform, decrypt: @escaping Transform,
    destroy: @escaping @convention(c) (OpaquePointer?) -> Void
  ) {
    self.context = context
    self.encrypt = encrypt
    self.decrypt = decrypt
    self.destroy = destroy
  }

  deinit { destroy(context) }

  /// `kernel` is available on this machine; `key` has 32 or 64 bytes, both halves different.
  static func make(
    _ kernel: Kernel, key: borrowing SecretBytes
  ) throws(SectorCipherError) -> KeyedKernel {
    try key.withUnsafeBytes { bytes throws(SectorCipherError) in
      let start = bytes.bindMemory(to: UInt8.self).baseAddress
      guard let instructions = kernel.instructions else {
        guard let context = coffer_evp_xts_create(start, bytes.count) else {
          throw .libcryptoFailed
        }
        return KeyedKernel(
          context: context, encrypt: coffer_evp_xts_encrypt, decrypt: coffer_evp_xts_decrypt,
          destroy: coffer_evp_xts_destroy)
      }
      guard let context = coffer_xts_create(instructions, start, bytes.count) else {
        throw .cannotLockMemory(.cannotLock(errno: errno))
      }
      return KeyedKernel(
        context: context, encrypt: coffer_xts_encrypt, decrypt: coffer_xts_decrypt,
        destroy: coffer_xts_destroy)
    }
  }
}
