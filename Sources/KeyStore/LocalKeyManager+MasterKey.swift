import GRDB
public import KeyManager

/// What is to be known of the master key; nothing of its value.
public struct MasterKeyStatus: Sendable, Equatable {
  public var id: MasterKeyID
  /// Where it is kept.
  public var store: String
  /// Since when it is in force; nil when the store does not say.
  public var saved: Timestamp?
  /// How many projects' keys it wraps.
  public var projects: Int
}

extension LocalKeyManager {
  /// What is to be known of the master key in force.
  public func masterKeyStatus() async throws(KeyManagerError) -> MasterKeyStatus {
    let id = try await masterKeyID()
    let store = masterKeys
    let saved = try await onBlockingQueue { () throws(KeyManagerError) in
      do {
        return try store.saved()
      } catch {
        throw Self.failure(error)
      }
    }
    let projects = try await database.read { db in
      try Int.fetchOne(
        db, sql: "SELECT count(*) FROM project_keys WHERE master_key = ?",
        arguments: [id.description]) ?? 0
    }
    return MasterKeyStatus(id: id, store: store.description, saved: saved, projects: projects)
  }
}

extension MasterKeyStore {
  /// Saves a first, random master key; throws `MasterKeyStoreError.occupied` when there is one already.
  public func makeFirst() throws -> MasterKeyID {
    do {
      let present = try load().id
      throw MasterKeyStoreError.occupied(
        "\(self) holds the master key \(present) already, which may be all that opens some keys: "
          + "nothing was changed; to replace it, use coffer master-key renew")
    } catch is EmptyStoreError {
      let key = try MasterKey.random()
      try save(key)
      return key.id
    }
  }
}
