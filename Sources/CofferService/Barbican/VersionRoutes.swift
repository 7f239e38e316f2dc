import BarbicanAPI
import Hummingbird

/// `GET /` and `GET /v1`: what castellan and keystoneauth ask before anything else.
struct VersionRoutes {
  func add(to router: Router<Call>) {
    router.resource("/", [.get: versions])
    router.resource("/v1", [.get: version])
  }

  @Sendable private func versions(_ request: Request, _ call: Call) throws -> Response {
    if call.microversion == .oldest {
      let document = StableVersionsDocument(versions: [.stable(base: request.base)])
      return try .json(document, status: .multipleChoices)
    }
    let document = VersionsDocument(versions: [.current(base: request.base)])
    return try .json(document, status: .multipleChoices)
  }

  @Sendable private func version(_ request: Request, _ call: Call) throws -> Response {
    let version: VersionDocument =
      call.microversion == .oldest
      ? .stable(base: request.base) : .current(base: request.base)
    return try .json(SingleVersionDocument(version: version))
  }
}
