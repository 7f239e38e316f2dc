import CCrypto
import SecretMemory
import Testing

@testable import SectorCipher

/// The self-test must pass what is right and notice what is wrong. The wrong kernels are libcrypto
/// with one fault each.
@Suite struct KernelProofTests {
  @Test(arguments: Kernel.available)
  func everyKernelOfThisMachinePasses(kernel: Kernel) throws {
    #expect(try KernelProof.passes(kernel))
    #expect(
      try KernelProof.passes(besideLibcrypto: true) { key throws(SectorCipherError) in
        try KeyedKernel.make(kernel, key: key)
      })
  }

  @Test func noticesAWrongBitInEncryption() throws {
    #expect(
      try !passes(encrypt: { cipher, destination, source, count, size, tweak, step in
        coffer_evp_xts_encrypt(cipher, destination, source, count, size, tweak, step)
        flip(destination, at: 511)
      }))
  }

  @Test func noticesAWrongBitInDecryption() throws {
    #expect(
      try !passes(decrypt: { cipher, destination, source, count, size, tweak, step in
        coffer_evp_xts_decrypt(cipher, destination, source, count, size, tweak, step)
        flip(destination, at: 0)
      }))
  }

  @Test func noticesAWrongLastByteOfAnySectorSize() throws {
    #expect(
      try !passes(encrypt: { cipher, destination, source, count, size, tweak, step in
        coffer_evp_xts_encrypt(cipher, destination, source, count, size, tweak, step)
        if size == 2048 { flip(destination, at: count * size - 1) }
      }))
  }

  @Test func noticesAWrongTweakStep() throws {
    #expect(
      try !passes(encrypt: { cipher, destination, source, count, size, tweak, _ in
        coffer_evp_xts_encrypt(cipher, destination, source, count, size, tweak, 1)
      }))
  }

  @Test func noticesATweakThatDoesNotWrap() throws {
    #expect(
      try !passes(decrypt: { cipher, destination, source, count, size, tweak, step in
        coffer_evp_xts_decrypt(cipher, destination, source, count, size, tweak, step)
        let last = tweak.addingReportingOverflow(UInt64(count - 1) * step)
        if last.overflow { flip(destination, at: count * size - 1) }
      }))
  }

  @Test func noticesAFaultBeyondThirtyTwoSectors() throws {
    #expect(
      try !passes(decrypt: { cipher, destination, source, count, size, tweak, step in
        coffer_evp_xts_decrypt(cipher, destination, source, count, size, tweak, step)
        if count > 32 { flip(destination, at: 32 * size) }
      }))
  }

  private func passes(
    encrypt: @escaping KeyedKernel.Transform = coffer_evp_xts_encrypt,
    decrypt: @escaping KeyedKernel.Transform = coffer_evp_xts_decrypt
  ) throws -> Bool {
    try KernelProof.passes(besideLibcrypto: true) { key throws(SectorCipherError) in
      let context = key.withUnsafeBytes {
        coffer_evp_xts_create($0.bindMemory(to: UInt8.self).baseAddress, $0.count)
      }
      guard let context else { throw .libcryptoFailed }
      return KeyedKernel(
        context: context, encrypt: encrypt, decrypt: decrypt, destroy: coffer_evp_xts_destroy)
    }
  }
}

private func flip(_ place: UnsafeMutableRawPointer?, at offset: Int) {
  place!.assumingMemoryBound(to: UInt8.self)[offset] ^= 1
}
