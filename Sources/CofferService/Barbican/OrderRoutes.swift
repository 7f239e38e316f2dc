import BarbicanAPI
import Hummingbird
import KeyManager

/// Barbican's orders for keys, `/v1/orders`.
struct OrderRoutes {
  let keys: any KeyManager
  let orders: OrderStore

  func add(to router: Router<Call>) {
    router.resource("/v1/orders", [.get: list, .post: create])
    router.resource("/v1/orders/:id", [.get: show, .delete: delete])
  }

  @Sendable private func create(_ request: Request, _ call: Call) async throws -> Response {
    guard request.mediaType == "application/json" else {
      throw ServiceError.unexpectedContentType("['application/json']")
    }
    let context = try call.keyContext(request)
    let creation = try await request.document(
      OrderCreation.self, limit: BarbicanLimits.body, tooLarge: .bodyTooLarge)
    let outcome = try await carryOut(creation.attributes(), context)
    let order = Order(
      id: .random(), project: context.project, creator: context.user, created: .now(),
      meta: creation.meta, outcome: outcome)
    do {
      try await orders.insert(order)
    } catch {
      // Without its order nobody would learn of the key.
      if case .key(let id) = outcome { try? await keys.delete(id, context: context) }
      throw error
    }
    let url = request.orderURL(order.id)
    return try .json(OrderReference(orderRef: url), status: .accepted, location: url)
  }

  private func carryOut(
    _ attributes: KeyAttributes, _ context: KeyContext
  ) async throws(KeyManagerError) -> Order.Outcome {
    do {
      return .key(try await keys.createKey(attributes, context: context))
    } catch  where error.code == .invalidRequest {
      return .failure(status: 400, reason: "Process TypeOrder issue seen - \(error.message).")
    }
  }

  @Sendable private func show(_ request: Request, _ call: Call) async throws -> Response {
    guard let id = try Order.OrderID(call.parameter("id")),
      let order = try await orders.order(id, project: call.keyContext(request).project)
    else { throw ServiceError.orderNotFound }
    return try .json(request.document(order))
  }

  @Sendable private func delete(_ request: Request, _ call: Call) async throws -> Response {
    let context = try call.keyContext(request)
    guard context.may(actAs: .creator) else {
      throw ServiceError(
        .forbidden,
        "Order deletion attempt not allowed - please review your user/project privileges")
    }
    guard let id = try Order.OrderID(call.parameter("id")),
      try await orders.delete(id, project: context.project)
    else { throw ServiceError.orderNotFound }
    return .noContent
  }

  @Sendable private func list(_ request: Request, _ call: Call) async throws -> Response {
    let paging = Paging(try QueryItems(request.uri.query))
    let (page, total) = try await orders.orders(
      project: call.keyContext(request).project, paging)
    let links = PageLinks(
      url: "\(request.base)/v1/orders", limit: paging.limit, offset: paging.offset,
      shown: page.count, total: total)
    return try .json(
      OrderList(
        orders: page.map { request.document($0) }, total: total, next: links.next,
        previous: links.previous))
  }
}

/// What `GET /v1/orders` answers.
private struct OrderList: Encodable {
  var orders: [OrderDocument]
  var total: Int
  var next: String?
  var previous: String?
}

extension Request {
  fileprivate func orderURL(_ id: Order.OrderID) -> String { "\(base)/v1/orders/\(id)" }

  fileprivate func document(_ order: Order) -> OrderDocument {
    var document = OrderDocument(
      created: order.created, updated: order.created, status: "ACTIVE", meta: order.meta,
      orderRef: orderURL(order.id), creatorID: order.creator)
    switch order.outcome {
    case .key(let id):
      document.secretRef = secretURL(id)
    case .failure(let status, let reason):
      document.status = "ERROR"
      document.errorStatusCode = String(status)
      document.errorReason = reason
    }
    return document
  }
}
