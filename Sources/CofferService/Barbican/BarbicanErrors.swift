import KeyManager

/// Barbican's own words, which its clients show and some of them look for.
extension ServiceError {
  static let secretNotFound = ServiceError(.notFound, "Secret not found.")
  static let invalidSecretID = ServiceError(.notFound, "Not Found. Provided secret id is invalid.")
  static let noPayload = ServiceError(
    .notFound, "Not Found. Sorry but your secret has no payload.")
  static let hasPayload = ServiceError(.conflict, "Secret already has data, cannot modify it.")
  static let orderNotFound = ServiceError(.notFound, "Order not found.")
  static let metadataNotFound = ServiceError(.notFound, "Secret metadata not found.")
  static let consumerNotFound = ServiceError(.notFound, "Consumer not found.")
  static let badQuery = ServiceError(
    .badRequest, "URI provided invalid query string parameters.")
  static let bodyTooLarge = ServiceError(
    .badRequest, "Malformed JSON: the body is larger than \(BarbicanLimits.body) bytes")
  static let payloadTooLarge = ServiceError(
    .contentTooLarge,
    "Provided information too large to process: a payload has at most "
      + "\(BarbicanLimits.payload) bytes")

  static func hasConsumers(_ error: KeyManagerError) -> ServiceError {
    ServiceError(
      .badRequest,
      "Secret deletion issue seen - Secret cannot be deleted as it has consumers..",
      reason: .inUse, advice: error.message)
  }

  static func unexpectedContentType(_ expected: String) -> ServiceError {
    ServiceError(
      .unsupportedMediaType,
      "Unexpected content type. Expected content types are: \(expected)")
  }

  /// A document that breaks the rules of its schema.
  static func invalid(_ schema: String, _ reason: String, property: String) -> ServiceError {
    ServiceError(
      .badRequest,
      "Provided object does not match schema '\(schema)': \(reason). "
        + "Invalid property: '\(property)'")
  }

  /// A key manager's error as Barbican says it.
  static func secret(_ error: KeyManagerError) -> ServiceError {
    switch error.code {
    case .notFound: .secretNotFound
    case .conflict: .hasPayload
    case .inUse: .hasConsumers(error)
    case .payloadTooLarge: .payloadTooLarge
    default: ServiceError(error)
    }
  }
}

/// Barbican's default limits, in bytes.
enum BarbicanLimits {
  /// A payload, encoded.
  static let payload = 20_000
  /// A JSON body.
  static let body = 25_000
}
