import Glibc
import SecretMemory
import SectorCipher
import Testing

/// Every kernel beside libcrypto: both directions, all key and sector sizes, any alignment, in place
/// and out of place, runs that do and do not fill the kernels' batches, tweaks that pass 2^64.
@Suite struct RandomCaseTests {
  private static let cases = 20_000
  private static let mostBytes = 1 << 17
  private static let margin = 64

  @Test func everyKernelAgreesWithLibcrypto() throws {
    var random = SeededGenerator()
    let pool = random.bytes(1 << 18)
    let arena = Arena(byteCount: Self.mostBytes + 4 * Self.margin)
    for number in 0..<Self.cases {
      let sectorSize = sectorSizes.randomElement(using: &random)!
      let sectorCount = Self.sectorCount(using: &random, sectorSize: sectorSize)
      let byteCount = sectorCount * sectorSize
      let key = random.bytes(Bool.random(using: &random) ? 32 : 64)
      let tweak = random.tweak()
      let encrypting = Bool.random(using: &random)
      let inPlace = Bool.random(using: &random)
      let start = Int.random(in: 0...pool.count - byteCount, using: &random)
      let placeOfSource = Self.margin + Int.random(in: 0..<64, using: &random)
      let placeOfResult =
        inPlace ? placeOfSource : Self.margin + Int.random(in: 0..<64, using: &random)

      let secretKey = try secret(key)
      try pool.withUnsafeBytes { pool in
        let data = UnsafeRawBufferPointer(rebasing: pool[start..<start + byteCount])
        let expected = libcryptoXTS(
          data, key: key, encrypting: encrypting, sectorSize: sectorSize, firstTweak: tweak)
        for kernel in Kernel.available {
          let cipher = try SectorCipher(key: secretKey, sectorSize: sectorSize, kernel: kernel)
          let destination = arena.result + placeOfResult
          memset(destination - Self.margin, 0xEE, byteCount + 2 * Self.margin)
          let source = inPlace ? destination : arena.source + placeOfSource
          if byteCount > 0 { memcpy(source, data.baseAddress!, byteCount) }
          if encrypting {
            cipher.encrypt(source, to: destination, byteCount: byteCount, firstTweak: tweak)
          } else {
            cipher.decrypt(source, to: destination, byteCount: byteCount, firstTweak: tweak)
          }
          let isRight =
            memcmp(destination, expected, byteCount) == 0
            && Self.isUntouched(destination - Self.margin)
            && Self.isUntouched(destination + byteCount)
            && (inPlace || byteCount == 0 || memcmp(source, data.baseAddress!, byteCount) == 0)
          try #require(
            isRight,
            """
            seed \(random.seed) case \(number): \(kernel.rawValue) \(key.count) bytes of key, \
            \(sectorCount) sectors of \(sectorSize), tweak \(tweak), encrypting \(encrypting), \
            source at \(placeOfSource), destination at \(placeOfResult), in place \(inPlace)
            """)
        }
      }
    }
  }

  /// Mostly few sectors; now and then more than a kernel encrypts tweaks for at once.
  private static func sectorCount(
    using random: inout SeededGenerator, sectorSize: Int
  ) -> Int {
    let most =
      switch Int.random(in: 0..<20, using: &random) {
      case 0: 140
      case 1...4: 40
      default: 6
      }
    return Int.random(in: 0...min(most, mostBytes / sectorSize), using: &random)
  }

  private static func isUntouched(_ place: UnsafeRawPointer) -> Bool {
    UnsafeRawBufferPointer(start: place, count: margin).allSatisfy { $0 == 0xEE }
  }
}

private final class Arena {
  let source: UnsafeMutableRawPointer
  let result: UnsafeMutableRawPointer

  init(byteCount: Int) {
    source = .allocate(byteCount: byteCount, alignment: 4096)
    result = .allocate(byteCount: byteCount, alignment: 4096)
  }

  deinit {
    source.deallocate()
    result.deallocate()
  }
}
