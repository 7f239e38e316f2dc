/// The media types a payload can have, as Barbican knows them.
enum PayloadType: String {
  case text = "text/plain"
  case bytes = "application/octet-stream"
  case pkcs8 = "application/pkcs8"

  /// Reads a media type; `text/plain` may name the character set UTF-8. Nil for any other.
  init?(mediaType text: some StringProtocol) {
    let parts = text.split(separator: ";").map { String($0.filter { $0 != " " }).lowercased() }
    guard let name = parts.first, let type = PayloadType(rawValue: name),
      parts.dropFirst().allSatisfy({ type == .text && $0 == "charset=utf-8" })
    else { return nil }
    self = type
  }

  static let supported =
    "['text/plain', 'text/plain;charset=utf-8', "
    + "'text/plain; charset=utf-8', 'application/octet-stream', 'application/pkcs8']"
}

/// What a client wants for an answer, by its `Accept` header.
struct Acceptance {
  /// Media ranges without parameters; empty when the client does not say.
  private let ranges: [Substring]

  init(_ header: String?) {
    ranges = (header ?? "").split(separator: ",").compactMap {
      $0.split(separator: ";").first?.drop { $0 == " " }.prefix { $0 != " " }
    }
  }

  /// Whether `GET` of a secret means its attributes; otherwise, as Barbican's older clients ask, its payload.
  var wantsAttributes: Bool {
    ranges.isEmpty || ranges.contains("application/json") || ranges.contains("*/*")
  }

  /// The first type that a payload kept as `stored` can be given as; nil when there is none.
  ///
  /// - Parameter isText: whether the payload is UTF-8.
  func payloadType(stored: PayloadType, isText: Bool) -> PayloadType? {
    if ranges.isEmpty { return stored }
    for range in ranges {
      if range == "*/*" { return stored }
      guard let type = PayloadType(rawValue: range.lowercased()) else { continue }
      if type != .text || isText { return type }
    }
    return nil
  }
}
