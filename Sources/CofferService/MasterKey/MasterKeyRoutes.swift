import BarbicanAPI
import Hummingbird
import KeyManager
import KeyStore

/// The master key, `/coffer/v1/master-key`: for root and the service's user.
struct MasterKeyRoutes {
  let keys: LocalKeyManager
  let renewalInterval: Duration?

  func add(to router: Router<Call>) {
    router.resource("/coffer/v1/master-key", [.get: show])
    router.resource("/coffer/v1/master-key/renew", [.post: renew])
  }

  @Sendable private func show(_ request: Request, _ call: Call) async throws -> Response {
    try call.checkAdministrator()
    return try .json(await document())
  }

  @Sendable private func renew(_ request: Request, _ call: Call) async throws -> Response {
    try call.checkAdministrator()
    try await keys.renewMasterKey()
    return try .json(await document())
  }

  private func document() async throws -> MasterKeyDocument {
    let status = try await keys.masterKeyStatus()
    let due = renewalInterval.flatMap { interval in status.saved.map { $0 + interval } }
    return MasterKeyDocument(
      id: status.id.description, store: status.store,
      savedAt: status.saved.map { "\($0)Z" }, projects: status.projects,
      renewalAt: due.map { "\($0)Z" })
  }
}

extension Call {
  /// Throws unless the caller is root or the service's own user.
  func checkAdministrator() throws(ServiceError) {
    guard mayAdminister else {
      throw ServiceError(
        .forbidden, "this is for root and the service's own user", reason: .notAuthorized)
    }
  }
}
