import BarbicanAPI
import Hummingbird
import KeyManager

/// `POST /coffer/v1/keys/{id}/copy`: a copy whose value never leaves the service.
struct KeyCopyRoutes {
  let keys: any KeyManager

  func add(to router: Router<Call>) {
    router.resource("/coffer/v1/keys/:id/copy", [.post: copy])
  }

  @Sendable private func copy(_ request: Request, _ call: Call) async throws -> Response {
    let context = try call.keyContext(request)
    guard let id = try KeyID(call.parameter("id")) else {
      throw ServiceError(.notFound, "no such key", reason: .noSuchKey)
    }
    let wish = try await request.document(
      KeyCopyRequest.self, limit: BarbicanLimits.body, tooLarge: .bodyTooLarge)
    let copy = try await keys.copy(id, name: wish.name, context: context)
    return try .json(KeyCopyReply(id: copy), status: .created)
  }
}
