import GRDB
public import KeyManager

extension LocalKeyManager {
  /// How many keys are stored, of all projects, expired ones too.
  public func keyCount() async throws(KeyManagerError) -> Int {
    try await database.read { db in
      try Int.fetchOne(db, sql: "SELECT ifnull(sum(count), 0) FROM secret_counts") ?? 0
    }
  }
}
