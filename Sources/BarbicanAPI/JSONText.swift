public import FoundationEssentials

/// JSON as Coffer writes and reads it on the wire: sorted members, slashes as they are.
public enum JSONText {
  /// The UTF-8 text of a document.
  public static func encode(_ document: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(document)
  }

  /// The document that UTF-8 text holds.
  public static func decode<Document: Decodable>(
    _ type: Document.Type, from text: Data
  ) throws -> Document {
    try JSONDecoder().decode(type, from: text)
  }
}
