import FoundationEssentials

/// The LUKS2 token by which an image says which key opens it:
/// `{"type":"coffer","keyslots":["0"],"key_id":"<uuid>","volume_id":"<uuid>"}`.
public struct ManagedToken: Sendable, Equatable {
  /// The token's `type`.
  public static let type = "coffer"

  /// The keyslots that the key opens, ascending.
  public var keyslots: [Int]
  /// The ID of the key in its key manager.
  public var keyID: String
  /// The ID of the volume in its catalog.
  public var volumeID: String

  /// A token that names `keyID` for `keyslots`.
  public init(keyslots: [Int], keyID: String, volumeID: String) {
    self.keyslots = keyslots
    self.keyID = keyID
    self.volumeID = volumeID
  }

  /// The token as the header stores it.
  func json() -> String {
    let document = TokenDocument(
      type: Self.type, keyslots: keyslots.map(String.init), keyID: keyID, volumeID: volumeID)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(document) else { preconditionFailure("strings encode") }
    return String(decoding: data, as: UTF8.self)
  }

  /// Nil when it is of another type, or lacks a member.
  init?(_ document: TokenDocument) {
    let keyslots = document.keyslots.compactMap { Int($0) }
    guard document.type == Self.type, keyslots.count == document.keyslots.count,
      let keyID = document.keyID, let volumeID = document.volumeID
    else { return nil }
    self.init(keyslots: keyslots.sorted(), keyID: keyID, volumeID: volumeID)
  }
}
