import HTTPTypes
import Hummingbird
import Logging

/// What every request has in common: it counts as activity, is logged, and gets an answer also when its
/// route throws.
struct RequestMiddleware: RouterMiddleware {
  let activity: Activity
  let metrics: RequestMetrics
  let projects: ProjectDirectory
  let logger: Logger

  func handle(
    _ request: Request, context: Call, next: (Request, Call) async throws -> Response
  ) async throws -> Response {
    let start = ContinuousClock.now
    activity.begin()
    defer { activity.end() }
    var response: Response
    do {
      response = try await answer(request, context: context, next: next)
    } catch {
      let answer = ServiceError(answering: error, to: request)
      if answer.status.kind == .serverError {
        logger.error("\(request.method) \(request.uri.path) failed: \(error)")
      }
      response = answer.response()
    }
    metrics.note(request.method, status: response.status, took: ContinuousClock.now - start)
    logger.debug(
      "request",
      metadata: [
        "method": "\(request.method)", "path": "\(request.uri.path)",
        "uid": "\(context.peer.map { "\($0.uid)" } ?? "unknown")",
        "status": "\(response.status.code)",
      ])
    return request.method == .head ? response.createHeadResponse() : response
  }

  private func answer(
    _ request: Request, context: Call, next: (Request, Call) async throws -> Response
  ) async throws -> Response {
    var call = context
    call.projects = projects
    call.microversion = try Microversion(request.headers[.openStackVersion])
    var response = try await next(request, call)
    if !request.uri.path.hasPrefix("/coffer/"), request.uri.path != "/metrics" {
      response.headers[.openStackVersion] = "key-manager \(call.microversion)"
      response.headers[.vary] = "OpenStack-API-Version"
    }
    return response
  }
}
