import KeyManager

/// What a request must satisfy before anything is looked up. The limits are Barbican's.
enum RequestRules {
  /// In bytes.
  static let maximumValue = 20_000
  /// In characters (Unicode scalars).
  static let maximumText = 255
  /// In bits.
  static let maximumBitLength = 32_767

  static func check(_ role: Role, _ context: RequestContext) throws(KeyManagerError) {
    guard !context.project.isEmpty else {
      throw KeyManagerError(.notAuthorized, "the caller has no project")
    }
    try check("project", context.project)
    try check("user", context.user)
    guard context.may(actAs: role) else {
      throw KeyManagerError(
        .notAuthorized,
        "\(context.user) needs the role '\(role.rawValue)' in project \(context.project) for this")
    }
  }

  static func check(_ attributes: KeyAttributes, now: Timestamp) throws(KeyManagerError) {
    try check("name", attributes.name)
    try check("algorithm", attributes.algorithm)
    try check("mode", attributes.mode)
    try check("content type", attributes.contentType)
    if let bits = attributes.bitLength, !(1...maximumBitLength).contains(bits) {
      throw KeyManagerError(
        .invalidRequest, "a bit length of \(bits) is not within 1 to \(maximumBitLength)")
    }
    if let expiration = attributes.expiration, expiration <= now {
      throw KeyManagerError(.invalidRequest, "the expiration \(expiration) is not in the future")
    }
  }

  /// Checks a value's size in bytes.
  static func check(valueOf count: Int) throws(KeyManagerError) {
    guard count > 0 else { throw KeyManagerError(.invalidRequest, "the value is empty") }
    guard count <= maximumValue else {
      throw KeyManagerError(
        .payloadTooLarge,
        "the value has \(count) bytes, the largest that is kept has \(maximumValue)")
    }
  }

  static func check(_ query: KeyQuery) throws(KeyManagerError) {
    guard (1...100).contains(query.limit) else {
      throw KeyManagerError(.invalidRequest, "a page has 1 to 100 keys, not \(query.limit)")
    }
    guard query.offset >= 0 else {
      throw KeyManagerError(.invalidRequest, "the offset \(query.offset) is negative")
    }
  }

  static func check(_ consumer: KeyConsumer) throws(KeyManagerError) {
    for (what, text) in [
      ("service", consumer.service), ("resource type", consumer.resourceType),
      ("resource ID", consumer.resourceID),
    ] {
      guard !text.isEmpty else {
        throw KeyManagerError(.invalidRequest, "the consumer's \(what) is empty")
      }
      try check("consumer's \(what)", text)
    }
  }

  /// SQLite ends a text at its first NUL, so one with a NUL would not read back.
  static func check(_ what: String, _ text: String?) throws(KeyManagerError) {
    guard let text else { return }
    guard text.unicodeScalars.count <= maximumText else {
      throw KeyManagerError(
        .invalidRequest, "the \(what) is longer than \(maximumText) characters")
    }
    guard !text.utf8.contains(0) else {
      throw KeyManagerError(.invalidRequest, "the \(what) contains a NUL character")
    }
  }
}
