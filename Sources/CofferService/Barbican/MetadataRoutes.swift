import BarbicanAPI
import Hummingbird
import KeyManager

/// The user's own metadata of a secret, `/v1/secrets/{id}/metadata`. Names are kept in lower case.
struct MetadataRoutes {
  let keys: any AnnotatedKeyManager

  func add(to router: Router<Call>) {
    router.resource(
      "/v1/secrets/:id/metadata", [.get: showAll, .put: replaceAll, .post: create])
    router.resource(
      "/v1/secrets/:id/metadata/:key", [.get: show, .put: replace, .delete: delete])
  }

  @Sendable private func showAll(_ request: Request, _ call: Call) async throws -> Response {
    try await .json(MetadataDocument(metadata: metadata(request, call)))
  }

  @Sendable private func replaceAll(_ request: Request, _ call: Call) async throws -> Response {
    let id = try call.secretID()
    let document: MetadataDocument = try await request.jsonDocument()
    var metadata: [String: String] = [:]
    for (key, value) in document.metadata { metadata[try Self.name(key)] = value }
    try await change(request, call) { [metadata] in $0 = metadata }
    let url = "\(request.secretURL(id))/metadata"
    return try .json(MetadataReference(metadataRef: url), status: .created)
  }

  @Sendable private func create(_ request: Request, _ call: Call) async throws -> Response {
    let id = try call.secretID()
    let item = try await Self.item(in: request)
    let isNew = try await change(request, call) { metadata in
      guard metadata[item.key] == nil else { return false }
      metadata[item.key] = item.value
      return true
    }
    guard isNew else {
      throw ServiceError(.conflict, "Conflict. Key in request is already in the secret metadata")
    }
    return try .json(
      item, status: .created, location: "\(request.secretURL(id))/metadata/\(item.key)")
  }

  @Sendable private func show(_ request: Request, _ call: Call) async throws -> Response {
    let key = try call.parameter("key")
    guard let value = try await metadata(request, call)[key] else {
      throw ServiceError.metadataNotFound
    }
    return try .json(MetadatumDocument(key: key, value: value))
  }

  @Sendable private func replace(_ request: Request, _ call: Call) async throws -> Response {
    let key = try call.parameter("key")
    let item = try await Self.item(in: request)
    let failure = try await change(request, call) { metadata -> ServiceError? in
      guard metadata[key] != nil else { return .metadataNotFound }
      guard key == item.key else {
        return ServiceError(
          .conflict, "Key in request data does not match key in the request url.")
      }
      metadata[key] = item.value
      return nil
    }
    if let failure { throw failure }
    return try .json(item)
  }

  @Sendable private func delete(_ request: Request, _ call: Call) async throws -> Response {
    let key = try call.parameter("key")
    // As Barbican, it does not matter whether there was one.
    try await change(request, call) { $0[key] = nil }
    return .noContent
  }

  private func metadata(
    _ request: Request, _ call: Call
  ) async throws -> [String: String] {
    do {
      return try await keys.metadata(of: call.secretID(), context: call.keyContext(request))
    } catch let error as KeyManagerError {
      throw ServiceError.secret(error)
    }
  }

  private func change<Outcome: Sendable>(
    _ request: Request, _ call: Call,
    _ change: @escaping @Sendable (inout [String: String]) -> Outcome
  ) async throws -> Outcome {
    do {
      return try await keys.changeMetadata(
        of: call.secretID(), context: call.keyContext(request), change)
    } catch let error as KeyManagerError {
      throw ServiceError.secret(error)
    }
  }

  private static func item(in request: Request) async throws -> MetadatumDocument {
    var item: MetadatumDocument = try await request.jsonDocument()
    for (name, value) in [("key", item.key), ("value", item.value)]
    where value.unicodeScalars.count > 255 {
      throw ServiceError.invalid(
        "SecretMetadatum", "the value is longer than 255 characters", property: name)
    }
    item.key = try name(item.key)
    return item
  }

  private static func name(_ key: String) throws(ServiceError) -> String {
    let isSafe = key.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
    guard isSafe, !key.isEmpty else {
      throw ServiceError(
        .badRequest, "Secret metadata creation issue seen - Invalid Key. Key must be URL safe..")
    }
    return key.lowercased()
  }
}

extension Request {
  /// The JSON document in the body, which must be declared as such.
  func jsonDocument<Document: Decodable>() async throws -> Document {
    guard mediaType == "application/json" else {
      throw ServiceError.unexpectedContentType("['application/json']")
    }
    return try await document(
      Document.self, limit: BarbicanLimits.body, tooLarge: .bodyTooLarge)
  }
}
