import Glibc
import SecretMemory
import Testing

@testable import LUKS

/// Random damage to headers: an error or the right key, never a crash; and a failure changes nothing.
@Suite struct DamageTests {
  private let workspace: Workspace

  init() throws { workspace = try Workspace() }

  /// A bit here and there: the checksum of a LUKS2 copy notices.
  @Test(arguments: [("luks1", 592), ("luks2", 0x8000)])
  func flippedBits(type: String, headerLength: Int) async throws {
    try await damage(type) { header, generator in
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        header[Int.random(in: 0..<headerLength, using: &generator)] ^=
          1 << UInt8.random(in: 0...7, using: &generator)
      }
      if type == "luks1" {
        // The upper halves of two iteration counts: 2^31 rounds are no error, only slow.
        for place in [164, 165, 212, 213] { header[place] = 0 }
      }
    }
  }

  /// Bits of the JSON text, in both copies alike, under a checksum that is right: the metadata itself is
  /// nonsense.
  @Test func nonsenseUnderAGoodChecksum() async throws {
    try await damage("luks2", sameKey: false) { header, generator in
      let length = header[0x1000..<0x4000].firstIndex(of: 0)! - 0x1000
      for _ in 0..<Int.random(in: 1...2, using: &generator) {
        let place = 0x1000 + Int.random(in: 0..<length, using: &generator)
        let value = UInt8.random(in: 0x20...0x7E, using: &generator)
        header[place] = value
        header[0x4000 + place] = value
      }
      RawHeader.sign(&header)
    }
  }

  /// Damage in the binary part under a good checksum.
  @Test func nonsenseNumbersUnderAGoodChecksum() async throws {
    try await damage("luks2", sameKey: false) { header, generator in
      let place = Int.random(in: 6..<448, using: &generator)
      let value = UInt8.random(in: .min ... .max, using: &generator)
      for start in [0, 0x4000] where Bool.random(using: &generator) || start == 0 {
        header[start + place] = value
      }
      RawHeader.sign(&header)
    }
  }

  private func damage(
    _ type: String, sameKey: Bool = true, count: Int = 100,
    _ change: (inout [UInt8], inout SeededGenerator) -> Void
  ) async throws {
    let options = type == "luks2" ? "--luks2-keyslots-size 256k --offset 1024" : "--key-size 256"
    let path = try workspace.cryptsetupImage("--type \(type) \(options)", size: 3 << 20)
    let original = try contents(of: path)
    let key = try await LUKSImage.open(path: path, readOnly: true)
      .unlock(passphrase: secret("pw")).exposed
    let seed = UInt64.random(in: 0 ... .max)
    print("DamageTests \(type) seed \(seed)")
    var generator = SeededGenerator(state: seed)
    for round in 0..<count {
      var damaged = original
      var header = Array(original[..<0x8000])
      change(&header, &generator)
      damaged.replaceSubrange(0..<0x8000, with: header)
      try write(header, to: path)
      let readOnly = round % 2 == 0
      do {
        let image = try await LUKSImage.open(path: path, readOnly: readOnly)
        if readOnly || image.notices.isEmpty { #expect(try holds(path, damaged)) }
        let found = try await image.unlock(passphrase: secret("pw")).exposed
        if sameKey { #expect(found == key, "seed \(seed), round \(round)") }
      } catch let error as LUKSError {
        #expect(!error.message.isEmpty)
        if error.code != .wrongKey || readOnly {
          #expect(try holds(path, damaged), "seed \(seed), round \(round): \(error)")
        }
      }
      try write(Array(original[..<0x8000]), to: path)
    }
    #expect(try holds(path, original))
  }
}

/// SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}
