public import KeyManager

extension LocalKeyManager: AnnotatedKeyManager {
  @discardableResult
  public func addConsumer(
    _ consumer: KeyConsumer, to id: KeyID, context: RequestContext
  ) async throws(KeyManagerError) -> KeyRecord {
    try RequestRules.check(consumer)
    let now = now()
    return try await annotate(id, context) { annotations in
      if !annotations.consumers.contains(where: { $0.consumer == consumer }) {
        annotations.consumers.append(RegisteredConsumer(consumer, created: now))
      }
    }.0
  }

  @discardableResult
  public func removeConsumer(
    _ consumer: KeyConsumer, from id: KeyID, context: RequestContext
  ) async throws(KeyManagerError) -> KeyRecord? {
    try RequestRules.check(consumer)
    let (record, found) = try await annotate(id, context) { annotations in
      let before = annotations.consumers.count
      annotations.consumers.removeAll { $0.consumer == consumer }
      return annotations.consumers.count < before
    }
    return found ? record : nil
  }

  public func metadata(
    of id: KeyID, context: RequestContext
  ) async throws(KeyManagerError) -> [String: String] {
    try await annotations(of: id, context).metadata
  }

  public func changeMetadata<Outcome: Sendable>(
    of id: KeyID, context: RequestContext,
    _ change: @escaping @Sendable (inout [String: String]) -> Outcome
  ) async throws(KeyManagerError) -> Outcome {
    try await annotate(id, context) { change(&$0.metadata) }.1
  }

  public func access(
    of id: KeyID, context: RequestContext
  ) async throws(KeyManagerError) -> KeyAccess? {
    try await annotations(of: id, context).access
  }

  public func changeAccess(
    of id: KeyID, context: RequestContext, _ change: @escaping @Sendable (inout KeyAccess?) -> Void
  ) async throws(KeyManagerError) {
    _ = try await annotate(id, context, forOwner: true) { annotations in
      change(&annotations.access)
      for user in annotations.access?.users ?? [] { try RequestRules.check("user", user) }
    }
  }

  private func annotations(
    of id: KeyID, _ context: RequestContext
  ) async throws(KeyManagerError) -> KeyAnnotations {
    try RequestRules.check(.reader, context)
    let (secret, key) = try await database.read { try self.find(id, context, $0) }
    _ = try openReadable(secret, with: key, context)
    return secret.annotations
  }

  /// Changes what is noted of the caller's key, in one transaction.
  ///
  /// - Parameter forOwner: only the key's creator and the project's admins may.
  private func annotate<Outcome: Sendable>(
    _ id: KeyID, _ context: RequestContext, forOwner: Bool = false,
    _ change: @escaping @Sendable (inout KeyAnnotations) throws -> Outcome
  ) async throws(KeyManagerError) -> (KeyRecord, Outcome) {
    try RequestRules.check(.creator, context)
    return try await database.write { db in
      let (secret, key) = try self.find(id, context, db)
      let value = try self.openReadable(secret, with: key, context)
      let isCreator = secret.record.creator.utf8.elementsEqual(context.user.utf8)
      guard !forOwner || isCreator || context.may(actAs: .admin) else {
        throw KeyManagerError(
          .notAuthorized,
          "who may read key \(id) is for its creator and the project's admins to say")
      }
      var annotations = secret.annotations
      let outcome = try change(&annotations)
      if annotations != secret.annotations {
        try secret.update(to: annotations, value: value, key: key, db)
      }
      var record = secret.record
      record.consumers = annotations.consumers
      return (record, outcome)
    }
  }
}
