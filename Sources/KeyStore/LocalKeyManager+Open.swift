import GRDB
import Glibc
import HostSystem
public import KeyManager

extension LocalKeyManager {
  /// Opens the keys in `directory`, and makes what is missing: the directory (mode 0700; its parent must
  /// exist), the database, and on the very first start the master key. Finishes a renewal of the master
  /// key that was interrupted.
  ///
  /// - Parameters:
  ///   - directory: an absolute path; of this process's user, and private.
  ///   - masterKeys: where the master key is; `master.key` in the directory by default.
  /// - Throws: `unavailable` when another process has the keys open or the files are not private;
  ///   `damaged` when the master key is missing or is not the database's.
  public static func open(
    directory: String, masterKeys: (any MasterKeyStore)? = nil
  ) async throws(KeyManagerError) -> LocalKeyManager {
    try await open(directory: directory, masterKeys: masterKeys, patience: 5, now: Timestamp.now)
  }

  /// - Parameters:
  ///   - patience: how long to wait for the locks of another process, in seconds.
  ///   - now: tells the time.
  static func open(
    directory: String, masterKeys: (any MasterKeyStore)? = nil, patience: Double = 5,
    now: @escaping @Sendable () -> Timestamp
  ) async throws(KeyManagerError) -> LocalKeyManager {
    try await onBlockingQueue { () throws(KeyManagerError) in
      try PrivateFile.makeDirectory(directory)
      let lock = try PrivateFile.lock(directory + "/keys.lock", patience: patience)
      let database = try KeyDatabase.open(path: directory + "/keys.db", patience: patience)
      let store = masterKeys ?? FileMasterKeyStore(path: directory + "/master.key")
      let masterKey = try database.writeBlocking { db in
        let masterKey = try loadOrMake(in: store, db)
        try settle(on: masterKey, store, db)
        return masterKey
      }
      return LocalKeyManager(
        database: database, projectKeys: ProjectKeys(masterKey: masterKey), masterKeys: store,
        lock: lock, now: now)
    }
  }

  private static func loadOrMake(
    in store: any MasterKeyStore, _ db: Database
  ) throws -> MasterKey {
    do {
      try store.removeUnfinishedSave()
      return try store.load()
    } catch is EmptyStoreError {
      guard try isEmpty(db) else {
        throw KeyManagerError(
          .damaged,
          "the master key is missing: \(store) holds none, and the keys in the database cannot be "
            + "opened without it; restore it from a backup. A new one is not made, since it would "
            + "open nothing")
      }
      let new = try MasterKey.random()
      try store.save(new)
      return new
    } catch {
      throw failure(error)
    }
  }

  private static func isEmpty(_ db: Database) throws -> Bool {
    try Bool.fetchOne(
      db,
      sql: """
        SELECT NOT EXISTS (SELECT * FROM projects) AND NOT EXISTS (SELECT * FROM project_keys)
          AND NOT EXISTS (SELECT * FROM secrets)
        """) ?? false
  }

  /// Makes sure that the master key opens every project's key, and ends what a renewal may have left:
  /// the store decides which master key is in force.
  private static func settle(
    on masterKey: MasterKey, _ store: any MasterKeyStore, _ db: Database
  ) throws {
    let known = try String.fetchAll(db, sql: "SELECT DISTINCT master_key FROM project_keys")
    guard known.isEmpty || known.contains(masterKey.id.description) else {
      throw KeyManagerError(
        .damaged,
        "\(store) holds the master key \(masterKey.id), and the keys in the database are wrapped "
          + "under \(known.joined(separator: ", ")): restore the master key and the database from "
          + "one backup")
    }
    try ProjectKeys.verify(masterKey, db)
    try db.execute(
      sql: "DELETE FROM project_keys WHERE master_key <> ?",
      arguments: [masterKey.id.description])
  }

  /// What a failure of the master key's store means to a caller.
  static func failure(_ error: any Error) -> KeyManagerError {
    switch error {
    case let error as KeyManagerError: error
    case MasterKeyStoreError.unsafe(let text), MasterKeyStoreError.locked(let text):
      KeyManagerError(.unavailable, text)
    case MasterKeyStoreError.readOnly(let text), MasterKeyStoreError.occupied(let text):
      KeyManagerError(.conflict, text)
    case MasterKeyStoreError.malformed(let text): KeyManagerError(.damaged, text)
    case let error as EmptyStoreError:
      KeyManagerError(.damaged, "the master key is missing: \(error)")
    default: KeyManagerError(.internalFailure, "the master key: \(error)")
    }
  }
}
