/// The identifier of a `Subject`: a UUID (RFC 9562) as 36 lowercase characters.
///
/// New identifiers are version 4. The subject is in the type, so that a key's ID is never taken for a
/// volume's.
public struct ID<Subject: ~Copyable>: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The canonical text.
  public let description: String

  /// Takes the canonical form alone: lowercase, with hyphens, version 4, variant 1; nil otherwise.
  public init?(_ text: some StringProtocol) {
    let bytes = Array(text.utf8)
    guard bytes.count == 36 else { return nil }
    for (index, byte) in bytes.enumerated() {
      switch index {
      case 8, 13, 18, 23:
        guard byte == UInt8(ascii: "-") else { return nil }
      case 14:
        guard byte == UInt8(ascii: "4") else { return nil }
      case 19:
        guard "89ab".utf8.contains(byte) else { return nil }
      default:
        guard "0123456789abcdef".utf8.contains(byte) else { return nil }
      }
    }
    description = String(text)
  }

  /// A new random identifier.
  public static func random() -> ID {
    var generator = SystemRandomNumberGenerator()
    var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    bytes[6] = bytes[6] & 0x0F | 0x40
    bytes[8] = bytes[8] & 0x3F | 0x80
    var text = ""
    for (index, byte) in bytes.enumerated() {
      if [4, 6, 8, 10].contains(index) { text += "-" }
      text += byte < 16 ? "0" : ""
      text += String(byte, radix: 16)
    }
    return ID(text)!
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let id = ID(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "'\(text)' is not a lowercase version 4 UUID")
    }
    self = id
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

/// The identifier of a key.
public typealias KeyID = ID<Key>
