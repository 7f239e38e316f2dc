import BarbicanAPI
import HTTPTypes
import Hummingbird
import KeyManager

/// Who may read a secret besides those whom their role lets, `/v1/secrets/{id}/acl`.
struct AccessRoutes {
  let keys: any AnnotatedKeyManager

  func add(to router: Router<Call>) {
    router.resource(
      "/v1/secrets/:id/acl", [.get: show, .put: replace, .patch: update, .delete: delete])
  }

  @Sendable private func show(_ request: Request, _ call: Call) async throws -> Response {
    do {
      let access = try await keys.access(of: call.secretID(), context: call.keyContext(request))
      return try .json(AccessDocument(access))
    } catch let error as KeyManagerError {
      throw ServiceError.secret(error)
    }
  }

  /// What the body leaves out goes back to the default.
  @Sendable private func replace(_ request: Request, _ call: Call) async throws -> Response {
    let wish = try await Self.wish(in: request)
    return try await change(request, call) { access in
      guard let read = wish.read else {
        access = nil
        return
      }
      let now = Timestamp.now()
      access = KeyAccess(
        projectAccess: read.projectAccess ?? true, users: read.users ?? [],
        created: access?.created ?? now, updated: now)
    }
  }

  /// What the body leaves out stays.
  @Sendable private func update(_ request: Request, _ call: Call) async throws -> Response {
    let wish = try await Self.wish(in: request)
    return try await change(request, call) { access in
      guard let read = wish.read else { return }
      let now = Timestamp.now()
      access = KeyAccess(
        projectAccess: read.projectAccess ?? access?.projectAccess ?? true,
        users: read.users ?? access?.users ?? [], created: access?.created ?? now, updated: now)
    }
  }

  @Sendable private func delete(_ request: Request, _ call: Call) async throws -> Response {
    _ = try await change(request, call) { $0 = nil }
    return Response(status: .ok)
  }

  private func change(
    _ request: Request, _ call: Call, _ change: @escaping @Sendable (inout KeyAccess?) -> Void
  ) async throws -> Response {
    let id = try call.secretID()
    do {
      try await keys.changeAccess(of: id, context: call.keyContext(request), change)
    } catch let error as KeyManagerError {
      throw ServiceError.secret(error)
    }
    return try .json(AccessReference(aclRef: "\(request.secretURL(id))/acl"))
  }

  private static func wish(in request: Request) async throws -> AccessChange {
    let wish: AccessChange = try await request.jsonDocument()
    guard wish.read?.users?.allSatisfy({ (1...255).contains($0.unicodeScalars.count) }) ?? true
    else {
      throw ServiceError.invalid(
        "ACL", "a user does not have 1 to 255 characters", property: "users")
    }
    return wish
  }
}
