import CCrypto
import Glibc
import SecretMemory

@testable import SectorCipher

let sectorSizes = [512, 1024, 2048, 4096]

func secret(_ bytes: [UInt8]) throws -> SecretBytes {
  var bytes = bytes
  return try .taking(&bytes)
}

/// SplitMix64. `COFFER_TEST_SEED` repeats a run.
struct SeededGenerator: RandomNumberGenerator {
  let seed: UInt64
  private var state: UInt64

  init(_ test: String = #function) {
    seed =
      getenv("COFFER_TEST_SEED").flatMap { UInt64(String(cString: $0)) }
      ?? UInt64.random(in: .min ... .max)
    state = seed
    print("\(test): seed \(seed)")
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count { withUnsafeBytes(of: next()) { bytes.append(contentsOf: $0) } }
    bytes.removeLast(bytes.count - count)
    return bytes
  }

  /// Any tweak; one in three is so near to 2^64 that a run of sectors may pass it.
  mutating func tweak() -> UInt64 {
    let any = next()
    return any % 3 == 0 ? 0 &- next() % 256 : any
  }
}

/// AES-XTS by libcrypto alone, one context and one initialisation per sector.
func libcryptoXTS(
  _ data: UnsafeRawBufferPointer, key: [UInt8], encrypting: Bool, sectorSize: Int,
  firstTweak: UInt64
) -> [UInt8] {
  let context = EVP_CIPHER_CTX_new()
  defer { EVP_CIPHER_CTX_free(context) }
  let algorithm = key.count == 32 ? EVP_aes_128_xts() : EVP_aes_256_xts()
  precondition(EVP_CipherInit_ex2(context, algorithm, key, nil, encrypting ? 1 : 0, nil) == 1)
  var result = [UInt8](repeating: 0, count: data.count)
  var tweak = firstTweak
  for offset in stride(from: 0, to: data.count, by: sectorSize) {
    let iv: [UInt64] = [tweak.littleEndian, 0]
    var written: Int32 = 0
    let ok = iv.withUnsafeBytes { iv in
      result.withUnsafeMutableBytes { result in
        EVP_CipherInit_ex2(
          context, nil, nil, iv.bindMemory(to: UInt8.self).baseAddress, -1, nil) == 1
          && EVP_CipherUpdate(
            context, (result.baseAddress! + offset).assumingMemoryBound(to: UInt8.self), &written,
            (data.baseAddress! + offset).assumingMemoryBound(to: UInt8.self),
            Int32(sectorSize)) == 1
      }
    }
    precondition(ok && Int(written) == sectorSize)
    tweak &+= UInt64(sectorSize / 512)
  }
  return result
}

extension SectorCipher {
  func encrypted(_ data: [UInt8], firstTweak: UInt64) -> [UInt8] {
    transformed(data) { encrypt($0, to: $1, byteCount: data.count, firstTweak: firstTweak) }
  }

  func decrypted(_ data: [UInt8], firstTweak: UInt64) -> [UInt8] {
    transformed(data) { decrypt($0, to: $1, byteCount: data.count, firstTweak: firstTweak) }
  }

  private func transformed(
    _ data: [UInt8], _ body: (UnsafeRawPointer, UnsafeMutableRawPointer) -> Void
  ) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: data.count) { destination, count in
      data.withUnsafeBytes { body($0.baseAddress!, destination.baseAddress!) }
      count = data.count
    }
  }
}
