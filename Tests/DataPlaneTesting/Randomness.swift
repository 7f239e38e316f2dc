/// SplitMix64: the same numbers for the same seed.
public struct SeededGenerator: RandomNumberGenerator {
  public private(set) var state: UInt64

  public init(seed: UInt64) { state = seed }

  /// A generator with a new seed, which is printed so that a failure can be repeated.
  public static func printingSeed(_ test: String) -> SeededGenerator {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("\(test): seed \(seed)")
    return SeededGenerator(seed: seed)
  }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }

  public mutating func bytes(_ count: Int) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: count)
    result.withUnsafeMutableBytes { buffer in
      for index in stride(from: 0, to: count, by: 8) {
        withUnsafeBytes(of: next()) { word in
          for byte in 0..<min(8, count - index) { buffer[index + byte] = word[byte] }
        }
      }
    }
    return result
  }

  /// A range of bytes in `0..<size`: often short, often at the bounds of sectors, sometimes long.
  public mutating func range(in size: Int, longest: Int) -> Range<Int> {
    let units = [1, 16, 512, 4096]
    let unit = units.randomElement(using: &self)!
    let start = Int.random(in: 0..<size, using: &self) / unit * unit
    let limit = min([longest, 20, 600, 5000, 9000].randomElement(using: &self)!, size - start)
    var length = Int.random(in: 1...max(1, limit), using: &self)
    if length > unit { length = length / unit * unit }
    return start..<start + length
  }
}
