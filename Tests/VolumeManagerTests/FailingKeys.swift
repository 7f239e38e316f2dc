import KeyManager
import SecretMemory
import Synchronization

/// A key manager that does not answer to some requests.
final class FailingKeys: KeyManager {
  enum Request: CaseIterable {
    case create, get, delete
  }

  private let keys: any KeyManager
  private let failing: Mutex<Set<Request>>

  init(_ keys: any KeyManager, failing: Set<Request>) {
    self.keys = keys
    self.failing = Mutex(failing)
  }

  /// Answers to everything again.
  func heal() {
    failing.withLock { $0 = [] }
  }

  private func check(_ request: Request) throws(KeyManagerError) {
    if failing.withLock({ $0.contains(request) }) {
      throw KeyManagerError(.unavailable, "the key manager does not answer")
    }
  }

  func createKey(
    _ attributes: KeyAttributes, context: RequestContext
  ) async throws(KeyManagerError) -> KeyID {
    try check(.create)
    return try await keys.createKey(attributes, context: context)
  }

  func store(
    _ value: consuming SecretBytes?, _ attributes: KeyAttributes, context: RequestContext
  ) async throws(KeyManagerError) -> KeyID {
    try await keys.store(value, attributes, context: context)
  }

  func setValue(
    of id: KeyID, to value: consuming SecretBytes, contentType: String?, context: RequestContext
  ) async throws(KeyManagerError) {
    try await keys.setValue(of: id, to: value, contentType: contentType, context: context)
  }

  func get(_ id: KeyID, context: RequestContext) async throws(KeyManagerError) -> Key {
    try check(.get)
    return try await keys.get(id, context: context)
  }

  func record(
    of id: KeyID, context: RequestContext
  ) async throws(KeyManagerError) -> KeyRecord {
    try await keys.record(of: id, context: context)
  }

  func copy(
    _ id: KeyID, name: String?, context: RequestContext
  ) async throws(KeyManagerError) -> KeyID {
    try await keys.copy(id, name: name, context: context)
  }

  func delete(
    _ id: KeyID, force: Bool, context: RequestContext
  ) async throws(KeyManagerError) {
    try check(.delete)
    try await keys.delete(id, force: force, context: context)
  }

  func addConsumer(
    _ consumer: KeyConsumer, to id: KeyID, context: RequestContext
  ) async throws(KeyManagerError) -> KeyRecord {
    try await keys.addConsumer(consumer, to: id, context: context)
  }

  func removeConsumer(
    _ consumer: KeyConsumer, from id: KeyID, context: RequestContext
  ) async throws(KeyManagerError) -> KeyRecord? {
    try await keys.removeConsumer(consumer, from: id, context: context)
  }

  func list(
    _ query: KeyQuery, context: RequestContext
  ) async throws(KeyManagerError) -> KeyPage {
    try await keys.list(query, context: context)
  }
}
