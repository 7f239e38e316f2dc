import BarbicanAPI
import Hummingbird
import KeyManager
import SecretMemory

/// Barbican's secrets, `/v1/secrets`.
struct SecretRoutes {
  let keys: any AnnotatedKeyManager

  func add(to router: Router<Call>) {
    router.resource("/v1/secrets", [.get: list, .post: create])
    router.resource("/v1/secrets/:id", [.get: show, .put: setPayload, .delete: delete])
    router.resource("/v1/secrets/:id/payload", [.get: payload, .put: setPayload])
  }

  @Sendable private func create(_ request: Request, _ call: Call) async throws -> Response {
    guard request.mediaType == "application/json" else {
      throw ServiceError.unexpectedContentType("['application/json']")
    }
    let context = try call.keyContext(request)
    let creation = try await request.document(
      SecretCreation.self, limit: BarbicanLimits.body, tooLarge: .bodyTooLarge)
    let attributes = try creation.attributes(schema: "Secret")
    let value = try creation.value()
    let id: KeyID
    do {
      id = try await keys.store(value, attributes, context: context)
    } catch {
      throw ServiceError.secret(error)
    }
    let url = request.secretURL(id)
    return try .json(SecretReference(secretRef: url), status: .created, location: url)
  }

  @Sendable private func show(_ request: Request, _ call: Call) async throws -> Response {
    guard Acceptance(request.headers[.accept]).wantsAttributes else {
      return try await payload(request, call)
    }
    let id = try call.secretID()
    do {
      let record = try await keys.record(of: id, context: call.keyContext(request))
      return try .json(request.document(record, call))
    } catch let error as KeyManagerError {
      throw ServiceError.secret(error)
    }
  }

  @Sendable private func payload(_ request: Request, _ call: Call) async throws -> Response {
    let id = try call.secretID()
    let context = try call.keyContext(request)
    do {
      let key = try await keys.get(id, context: context)
      return try Self.answer(key, accept: request.headers[.accept])
    } catch let error as KeyManagerError {
      throw await reasonForNoValue(error, of: id, context: context)
    }
  }

  private static func answer(
    _ key: borrowing Key, accept: String?
  ) throws(ServiceError) -> Response {
    let stored = key.record.attributes.contentType.flatMap(PayloadType.init(mediaType:)) ?? .bytes
    let isText = key.value.isUTF8
    guard let type = Acceptance(accept).payloadType(stored: stored, isText: isText) else {
      throw ServiceError(
        .notAcceptable, "Secret payload retrieval issue seen - Wrong payload content-type.")
    }
    return .secret(key.value, contentType: type.rawValue)
  }

  /// A key without a value is `notFound` too: tells it from one that is not there.
  private func reasonForNoValue(
    _ error: KeyManagerError, of id: KeyID, context: KeyContext
  ) async -> ServiceError {
    guard error.code == .notFound, let record = try? await keys.record(of: id, context: context),
      !record.hasValue
    else { return .secret(error) }
    return .noPayload
  }

  @Sendable private func setPayload(_ request: Request, _ call: Call) async throws -> Response {
    let id = try call.secretID()
    let context = try call.keyContext(request)
    let header = request.headers[.contentType] ?? ""
    guard let type = PayloadType(mediaType: header) else {
      throw ServiceError.unexpectedContentType("['application/octet-stream', 'text/plain']")
    }
    let body = try await request.secretBody(
      limit: BarbicanLimits.payload, tooLarge: .payloadTooLarge)
    guard body.count > 0 else {
      throw ServiceError(.badRequest, "Secret update issue seen - No data supplied to process..")
    }
    let value = try body.decoded(contentEncoding: request.headers[.contentEncoding])
    do {
      try await keys.setValue(of: id, to: value, contentType: type.rawValue, context: context)
    } catch {
      throw ServiceError.secret(error)
    }
    return .noContent
  }

  @Sendable private func delete(_ request: Request, _ call: Call) async throws -> Response {
    let id = try call.secretID()
    let context = try call.keyContext(request)
    let force = try await mayForce(request, call, id, context)
    do {
      try await keys.delete(id, force: force, context: context)
    } catch {
      throw ServiceError.secret(error)
    }
    return .noContent
  }

  /// Whether the secret's consumers do not matter. Below 1.2 nobody's do but Coffer's own: a volume must
  /// not lose its key because its user's client is old.
  private func mayForce(
    _ request: Request, _ call: Call, _ id: KeyID, _ context: KeyContext
  ) async throws(ServiceError) -> Bool {
    guard let text = try QueryItems(request.uri.query)["force"]?.lowercased() else {
      guard call.microversion < .deletionGuard,
        let record = try? await keys.record(of: id, context: context)
      else { return false }
      return !record.consumers.contains { $0.consumer.isCoffers }
    }
    switch text {
    case "1", "t", "true", "on", "y", "yes": return true
    case "0", "f", "false", "off", "n", "no": return false
    default: throw .badQuery
    }
  }

  @Sendable private func list(_ request: Request, _ call: Call) async throws -> Response {
    let items = try QueryItems(request.uri.query)
    let query = try KeyQuery(items)
    let page = try await keys.list(query, context: call.keyContext(request))
    let links = PageLinks(
      url: "\(request.base)/v1/secrets", limit: query.limit, offset: query.offset,
      shown: page.records.count, total: page.total, otherItems: items.withoutPaging)
    return try .json(
      SecretList(
        secrets: page.records.map { request.document($0, call) }, total: page.total,
        next: links.next, previous: links.previous))
  }
}

extension Call {
  func secretID() throws(ServiceError) -> KeyID {
    guard let id = try KeyID(parameter("id")) else { throw .invalidSecretID }
    return id
  }
}

extension Request {
  func secretURL(_ id: KeyID) -> String { "\(base)/v1/secrets/\(id)" }

  fileprivate func document(_ record: KeyRecord, _ call: Call) -> SecretDocument {
    var document = SecretDocument(record, secretRef: secretURL(record.id))
    if call.microversion < .consumers { document.consumers = nil }
    return document
  }
}

extension SecretBytes {
  fileprivate var isUTF8: Bool {
    withUnsafeBytes { String(validating: $0, as: UTF8.self) != nil }
  }

  /// The bytes that a `Content-Encoding` header stands for.
  fileprivate consuming func decoded(contentEncoding: String?) throws -> SecretBytes {
    switch contentEncoding?.lowercased() {
    case nil, "", "binary":
      return self
    case "base64":
      do {
        return try .decodingBase64(self)
      } catch SecretMemoryError.malformedText {
        throw ServiceError(.badRequest, "Secret update issue seen - Problem decoding payload.")
      }
    case .some(let other):
      throw ServiceError(
        .badRequest, "Secret update issue seen - content-encoding of '\(other)' not supported.")
    }
  }
}
