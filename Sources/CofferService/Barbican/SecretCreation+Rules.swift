import BarbicanAPI
import KeyManager
import SecretMemory

/// Barbican's rules for a new secret.
extension SecretCreation {
  /// - Parameter schema: what Barbican calls the document in its errors.
  func attributes(schema: String) throws(ServiceError) -> KeyAttributes {
    try checkLengths([("name", name), ("algorithm", algorithm), ("mode", mode)], schema)
    if let bitLength, !(1...32_767).contains(bitLength) {
      throw .invalid(schema, "\(bitLength) is not from 1 to 32767", property: "bit_length")
    }
    if payload == nil, payloadContentType != nil {
      throw .invalid(
        schema, "payload must be provided when payload_content_type is specified",
        property: "payload")
    }
    return KeyAttributes(
      name: name?.trimmed, type: secretType ?? .opaque, algorithm: algorithm?.trimmed,
      bitLength: bitLength, mode: mode?.trimmed,
      expiration: try Timestamp.expiration(expiration, schema: schema),
      contentType: try payloadType()?.rawValue)
  }

  /// The payload's bytes; nil when only an ID is asked for.
  func value() throws -> SecretBytes? {
    guard let payload else { return nil }
    guard payload.utf8.count <= BarbicanLimits.payload else { throw ServiceError.payloadTooLarge }
    var bytes = Array(payload.trimmed.utf8)
    let text = try SecretBytes.taking(&bytes)
    guard text.count > 0 else {
      throw ServiceError.invalid(
        "Secret", "If 'payload' specified, must be non empty", property: "payload")
    }
    guard payloadContentEncoding == "base64" else { return text }
    do {
      return try .decodingBase64(text)
    } catch SecretMemoryError.malformedText {
      throw ServiceError.invalid(
        "Secret", "Invalid payload for payload_content_encoding", property: "payload")
    }
  }

  private func payloadType() throws(ServiceError) -> PayloadType? {
    guard payload != nil else { return nil }
    guard let payloadContentType else {
      throw .invalid(
        "Secret", "If 'payload' is supplied, 'payload_content_type' must also be supplied.",
        property: "payload_content_type")
    }
    guard let type = PayloadType(mediaType: payloadContentType) else {
      throw .invalid(
        "Secret", "payload_content_type is not one of \(PayloadType.supported)",
        property: "payload_content_type")
    }
    let encoding: String? = type == .text ? nil : "base64"
    guard payloadContentEncoding == encoding else {
      throw .invalid(
        "Secret",
        "payload_content_encoding is not one of \(encoding.map { "['\($0)']" } ?? "None")",
        property: "payload_content_encoding")
    }
    return type
  }
}

extension OrderCreation {
  /// Barbican's rules for a key order.
  func attributes() throws(ServiceError) -> KeyAttributes {
    guard type == "key" else {
      throw .invalid("Order", "'\(type)' is not one of ['key']", property: "type")
    }
    try checkLengths(
      [("name", meta.name), ("algorithm", meta.algorithm), ("mode", meta.mode)], "Order")
    guard let algorithm = meta.algorithm?.trimmed, !algorithm.isEmpty else {
      throw .invalid(
        "Order", "'algorithm' is required field for key type order", property: "meta")
    }
    guard let bitLength = meta.bitLength else {
      throw .invalid(
        "Order", "'bit_length' is required field for key type order", property: "meta")
    }
    guard bitLength > 0, bitLength % 8 == 0, bitLength <= 32_767 else {
      throw .invalid(
        "Order", "Must be a positive integer that is a multiple of 8", property: "bit_length")
    }
    return KeyAttributes(
      name: meta.name?.trimmed, type: .symmetric, algorithm: algorithm, bitLength: bitLength,
      mode: meta.mode?.trimmed,
      expiration: try Timestamp.expiration(meta.expiration, schema: "Order"))
  }
}

private func checkLengths(
  _ members: [(name: String, value: String?)], _ schema: String
) throws(ServiceError) {
  for (name, value) in members where (value?.count ?? 0) > 255 {
    throw .invalid(schema, "the value is longer than 255 characters", property: name)
  }
}

extension Timestamp {
  /// A time to come; nil when there is no text.
  fileprivate static func expiration(
    _ text: String?, schema: String
  ) throws(ServiceError) -> Timestamp? {
    guard let text = text?.trimmed, !text.isEmpty else { return nil }
    guard let expiration = Timestamp(iso8601: text) else {
      throw .invalid(schema, "Invalid date for 'expiration'", property: "expiration")
    }
    guard expiration > .now() else {
      throw .invalid(schema, "'expiration' is before current time", property: "expiration")
    }
    return expiration
  }
}

extension String {
  /// Without white space at the ends, as Barbican takes every text.
  fileprivate var trimmed: String {
    guard let first = firstIndex(where: { !$0.isWhitespace }),
      let last = lastIndex(where: { !$0.isWhitespace })
    else { return "" }
    return String(self[first...last])
  }
}
