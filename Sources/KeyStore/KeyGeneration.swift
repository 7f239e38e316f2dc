import KeyManager

/// No random key can be made of this type, for this algorithm, or with this number of bits.
public struct KeyGenerationError: Error, Equatable, CustomStringConvertible {
  /// A sentence for people: which, and what is possible.
  public let description: String

  init(_ description: String) {
    self.description = description
  }
}

/// Which random keys can be made.
///
/// Barbican's algorithms with the lengths that they have in truth (its simple_crypto plugin takes any of
/// 64, 128, 192 and 256 bits for each), and 512 bits for `aes`: two AES-256 keys, for XTS. Names are
/// matched without regard to case.
enum KeyGeneration {
  static let defaultAlgorithm = "aes"
  /// In bits.
  static let defaultLength = 256

  private static let lengths: [String: Set<Int>] = [
    "aes": [128, 192, 256, 512],
    "des": [64],
    "3des": [64, 128, 192],
    "hmacsha1": hmacLengths,
    "hmacsha256": hmacLengths,
    "hmacsha384": hmacLengths,
    "hmacsha512": hmacLengths,
  ]
  private static let hmacLengths: Set<Int> = [64, 128, 192, 256, 384, 512]

  /// XTS takes two AES keys of one length (IEEE 1619).
  private static let xtsLengths: Set<Int> = [256, 384, 512]

  /// How many random bytes make the key that `attributes` asks for.
  static func byteCount(_ attributes: KeyAttributes) throws(KeyGenerationError) -> Int {
    let algorithm = (attributes.algorithm ?? defaultAlgorithm).lowercased()
    let bits = attributes.bitLength ?? defaultLength
    guard attributes.type == .symmetric else {
      throw KeyGenerationError(
        "cannot make a key of type '\(attributes.type.rawValue)': only symmetric keys are random "
          + "bytes; make it elsewhere and store it")
    }
    guard let known = lengths[algorithm] else {
      throw KeyGenerationError(
        "cannot make a key for the algorithm '\(algorithm)': known are "
          + lengths.keys.sorted().joined(separator: ", "))
    }
    let isXTS = algorithm == "aes" && attributes.mode?.lowercased() == "xts"
    let allowed = isXTS ? xtsLengths : known
    guard allowed.contains(bits) else {
      throw KeyGenerationError(
        "cannot make \(bits)-bit keys for '\(algorithm)'\(isXTS ? " in mode 'xts'" : ""): possible are "
          + allowed.sorted().map(String.init).joined(separator: ", ") + " bits")
    }
    return bits / 8
  }
}
