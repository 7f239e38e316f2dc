import FoundationEssentials
import KeyManager

/// What is noted of a secret besides its record: it may change, and often there is nothing.
struct KeyAnnotations: Codable, Sendable, Equatable {
  /// In bytes of JSON.
  static let limit = 256 << 10

  var metadata: [String: String] = [:]
  /// Oldest first.
  var consumers: [RegisteredConsumer] = []
  var access: KeyAccess?

  init() {}

  init(json: [UInt8]) throws {
    self = try JSONDecoder().decode(KeyAnnotations.self, from: Data(json))
  }

  /// Nil when there is nothing to note.
  func json() throws -> [UInt8]? {
    guard self != KeyAnnotations() else { return nil }
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let json = try encoder.encode(self)
    guard json.count <= Self.limit else {
      throw KeyManagerError(
        .payloadTooLarge,
        "a key's metadata, consumers and ACL have at most \(Self.limit) bytes in all")
    }
    return Array(json)
  }
}
