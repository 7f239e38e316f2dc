public import KeyManager

extension LocalKeyManager {
  /// The master key in force, as its store says.
  public func masterKeyID() async throws(KeyManagerError) -> MasterKeyID {
    try await StoredMasterKey(store: masterKeys).load().id
  }

  /// Replaces the master key by a new random one and wraps every project's key anew, by two-phase
  /// renewal: keys are served meanwhile, and a crash at any instant leaves one master key in the store
  /// that opens everything. Returns the new one's ID.
  ///
  /// - Throws: `conflict` while another renewal runs; else why it failed, and which key is in force.
  @discardableResult
  public func renewMasterKey() async throws(KeyManagerError) -> MasterKeyID {
    try await renewMasterKey { _ in }
  }

  func renewMasterKey(
    reached: @escaping @Sendable (TwoPhaseRenewal<MasterKey>.Step) -> Void
  ) async throws(KeyManagerError) -> MasterKeyID {
    guard !isRenewing.exchange(true, ordering: .acquiring) else {
      throw KeyManagerError(.conflict, "the master key is being renewed already")
    }
    defer { isRenewing.store(false, ordering: .releasing) }
    // A task of its own: the caller's cancellation must not cut the renewal short.
    let result = await Task { () -> Result<MasterKeyID, KeyManagerError> in
      do {
        return .success(try await self.renew(reached))
      } catch let error as RenewalError {
        return .failure(KeyManagerError(error.code, "the master key: \(error)"))
      } catch {
        return .failure(Self.failure(error))
      }
    }.value
    return try result.get()
  }

  private func renew(
    _ reached: @escaping @Sendable (TwoPhaseRenewal<MasterKey>.Step) -> Void
  ) async throws -> MasterKeyID {
    let renewal = TwoPhaseRenewal(
      targets: [WrappedProjectKeys(database: database, projectKeys: projectKeys)],
      store: StoredMasterKey(store: masterKeys), reached: reached)
    // An earlier renewal may have left two master keys.
    let old = try await renewal.settle(projectKeys.masterKeys.map(\.id))
    let new = try MasterKey.random()
    try await renewal.run(from: old, to: new)
    return new.id
  }
}

extension RenewalError {
  fileprivate var code: KeyManagerError.Code {
    switch self {
    case .rolledBack(let cause), .unfinished(let cause):
      (cause as? KeyManagerError)?.code ?? .internalFailure
    }
  }
}

/// Every project's key as one target: one transaction wraps them all anew.
private struct WrappedProjectKeys: RenewalTarget {
  let database: KeyDatabase
  let projectKeys: ProjectKeys

  func authorize(_ new: MasterKey, using old: MasterKey) async throws {
    try await database.write { try projectKeys.authorize(new, using: old, $0) }
  }

  func deauthorize(_ retired: MasterKeyID, keeping kept: MasterKey) async throws {
    try await database.write { try projectKeys.deauthorize(retired, keeping: kept, $0) }
    projectKeys.forget(retired)
  }
}

/// The master key's store, which blocks, as the store of a renewal.
private struct StoredMasterKey: RenewalStore {
  let store: any MasterKeyStore

  func load() async throws(KeyManagerError) -> MasterKey {
    try await blocking { try store.load() }
  }

  func save(_ key: MasterKey) async throws(KeyManagerError) {
    try await blocking { try store.save(key) }
  }

  private func blocking<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
  ) async throws(KeyManagerError) -> Value {
    try await onBlockingQueue { () throws(KeyManagerError) in
      do {
        return try body()
      } catch {
        throw LocalKeyManager.failure(error)
      }
    }
  }
}
