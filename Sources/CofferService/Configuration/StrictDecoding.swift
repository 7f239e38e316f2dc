/// A member of a JSON object.
struct MemberName: CodingKey, ExpressibleByStringLiteral {
  let stringValue: String
  var intValue: Int? { nil }

  init(stringLiteral name: String) { stringValue = name }
  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }
}

extension Decoder {
  /// An object with no other members than these.
  func strictContainer(
    _ members: Set<String>
  ) throws -> KeyedDecodingContainer<MemberName> {
    let container = try container(keyedBy: MemberName.self)
    for key in container.allKeys where !members.contains(key.stringValue) {
      throw DecodingError.dataCorruptedError(
        forKey: key, in: container,
        debugDescription: "it is not known; known are \(members.sorted().joined(separator: ", "))")
    }
    return container
  }
}
