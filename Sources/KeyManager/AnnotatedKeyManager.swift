/// A key manager that also keeps what Barbican calls a secret's user metadata and its ACL.
public protocol AnnotatedKeyManager: KeyManager {
  /// The key's metadata: names and values of the user's own.
  func metadata(
    of id: KeyID, context: RequestContext
  ) async throws(KeyManagerError) -> [String: String]

  /// Changes the key's metadata in one step, and returns what `change` does.
  func changeMetadata<Outcome: Sendable>(
    of id: KeyID, context: RequestContext,
    _ change: @escaping @Sendable (inout [String: String]) -> Outcome
  ) async throws(KeyManagerError) -> Outcome

  /// Who may read the key; nil while only the roles say so.
  func access(of id: KeyID, context: RequestContext) async throws(KeyManagerError) -> KeyAccess?

  /// Changes who may read the key in one step: nil leaves it to the roles. For the key's creator and the
  /// project's admins.
  func changeAccess(
    of id: KeyID, context: RequestContext, _ change: @escaping @Sendable (inout KeyAccess?) -> Void
  ) async throws(KeyManagerError)
}
