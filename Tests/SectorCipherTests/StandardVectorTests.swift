import SecretMemory
import Testing

@testable import SectorCipher

/// Each kernel against the standards' own answers. A sector's block depends on the blocks before it
/// in no way, so an answer shorter than a sector is a sector's beginning.
@Suite struct StandardVectorTests {
  @Test(arguments: Kernel.available, IEEE1619Vector.all)
  func ieee1619(kernel: Kernel, vector: IEEE1619Vector) throws {
    try check(
      kernel, key: KnownAnswer.bytes(vector.key), dataUnit: vector.dataUnit,
      plaintext: plaintext(of: vector), ciphertext: KnownAnswer.bytes(vector.ciphertext))
  }

  @Test(arguments: Kernel.available, XTSVSVector.all)
  func xtsvs(kernel: Kernel, vector: XTSVSVector) throws {
    try check(
      kernel, key: KnownAnswer.bytes(vector.key), dataUnit: vector.dataUnit,
      plaintext: KnownAnswer.bytes(vector.plaintext),
      ciphertext: KnownAnswer.bytes(vector.ciphertext))
  }

  private func check(
    _ kernel: Kernel, key: [UInt8], dataUnit: UInt64, plaintext: [UInt8], ciphertext: [UInt8]
  ) throws {
    try #require(plaintext.count == ciphertext.count && plaintext.count % 16 == 0)
    let rest = [UInt8](repeating: 0x5A, count: 512 - plaintext.count)
    for sectorSize in sectorSizes {
      let cipher = try SectorCipher(key: secret(key), sectorSize: sectorSize, kernel: kernel)
      let others = [UInt8](repeating: 0xA5, count: sectorSize - 512)
      let encrypted = cipher.encrypted(plaintext + rest + others, firstTweak: dataUnit)
      #expect(Array(encrypted.prefix(ciphertext.count)) == ciphertext)
      let decrypted = cipher.decrypted(ciphertext + rest + others, firstTweak: dataUnit)
      #expect(Array(decrypted.prefix(plaintext.count)) == plaintext)
    }
  }

  private func plaintext(of vector: IEEE1619Vector) throws -> [UInt8] {
    switch vector.plaintext {
    case .hexadecimal(let text):
      return KnownAnswer.bytes(text)
    case .counting:
      return (0..<512).map { UInt8(truncatingIfNeeded: $0) }
    case .ciphertext(let number):
      let other = try #require(IEEE1619Vector.all.first { $0.number == number })
      return KnownAnswer.bytes(other.ciphertext)
    }
  }
}
