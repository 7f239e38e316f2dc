import HTTPTypes
import Hummingbird

typealias Handler = @Sendable (Request, Call) async throws -> Response

extension Router where Context == Call {
  /// The methods of one path; 405 for the others.
  func resource(_ path: RouterPath, _ handlers: [HTTPRequest.Method: Handler]) {
    let methods: [HTTPRequest.Method] = [.get, .head, .post, .put, .patch, .delete, .options]
    let allowed = methods.filter { handlers[$0] != nil }.map(\.rawValue).joined(separator: ", ")
    for method in methods {
      let handler =
        handlers[method]
        ?? { request, _ in
          throw ServiceError(
            .methodNotAllowed,
            "The method \(request.method) is not allowed on this resource; it allows \(allowed).",
            headers: [.allow: allowed])
        }
      on(path, method: method, use: handler)
    }
  }
}
