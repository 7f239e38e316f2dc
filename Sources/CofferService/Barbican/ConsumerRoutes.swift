import BarbicanAPI
import Hummingbird
import KeyManager

/// What uses a secret, `/v1/secrets/{id}/consumers`.
struct ConsumerRoutes {
  let keys: any AnnotatedKeyManager

  func add(to router: Router<Call>) {
    router.resource(
      "/v1/secrets/:id/consumers", [.get: list, .post: register, .delete: remove])
  }

  @Sendable private func list(_ request: Request, _ call: Call) async throws -> Response {
    let id = try call.secretID()
    let paging = Paging(try QueryItems(request.uri.query))
    let all: [RegisteredConsumer]
    do {
      all = try await keys.record(of: id, context: call.keyContext(request)).consumers
    } catch let error as KeyManagerError {
      throw ServiceError.secret(error)
    }
    let page = all.dropFirst(paging.offset).prefix(paging.limit)
    let links = PageLinks(
      url: "\(request.secretURL(id))/consumers", limit: paging.limit, offset: paging.offset,
      shown: page.count, total: all.count)
    return try .json(
      ConsumerList(
        consumers: page.map { ConsumerDocument($0) }, total: all.count, next: links.next,
        previous: links.previous))
  }

  @Sendable private func register(_ request: Request, _ call: Call) async throws -> Response {
    let id = try call.secretID()
    let context = try call.keyContext(request)
    let consumer = try await request.consumer()
    do {
      let record = try await keys.addConsumer(consumer, to: id, context: context)
      let url = request.secretURL(id)
      return try .json(
        SecretDocument(record, secretRef: url), location: "\(url)/consumers")
    } catch let error as KeyManagerError {
      throw ServiceError.secret(error)
    }
  }

  @Sendable private func remove(_ request: Request, _ call: Call) async throws -> Response {
    let id = try call.secretID()
    let context = try call.keyContext(request)
    let consumer = try await request.consumer()
    do {
      guard let record = try await keys.removeConsumer(consumer, from: id, context: context) else {
        throw ServiceError.consumerNotFound
      }
      return try .json(SecretDocument(record, secretRef: request.secretURL(id)))
    } catch let error as KeyManagerError {
      throw ServiceError.secret(error)
    }
  }
}

extension Request {
  /// The consumer in the body, by Barbican's rules.
  fileprivate func consumer() async throws -> KeyConsumer {
    guard mediaType == "application/json" else {
      throw ServiceError.unexpectedContentType("['application/json']")
    }
    let document = try await document(
      SecretConsumer.self, limit: BarbicanLimits.body, tooLarge: .bodyTooLarge)
    for (name, value) in [
      ("service", document.service), ("resource_type", document.resourceType),
      ("resource_id", document.resourceID),
    ] where value.isEmpty || value.unicodeScalars.count > 255 {
      throw ServiceError.invalid(
        "Secret Consumer", "the value does not have 1 to 255 characters", property: name)
    }
    return document.consumer
  }
}
