import GRDB
import Glibc
import HostSystem
import KeyManager
import SecretMemory

/// The SQLite database, and what its failures mean to a caller.
///
/// Reads and writes run on GRDB's dispatch queues and never block the caller's thread. A write is one
/// transaction: a failure, also a cancellation, leaves nothing of it.
struct KeyDatabase: Sendable {
  let path: String
  private let pool: DatabasePool

  /// Opens or creates the database, a file of its owner's alone. Blocks.
  ///
  /// - Parameter patience: how long to wait for the locks of another process, in seconds.
  static func open(path: String, patience: Double) throws(KeyManagerError) -> KeyDatabase {
    do {
      // SQLite gives the files beside the database the database's mode.
      let file = try Descriptor.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
      try PrivateFile.check(try file.status(), path: path, mode: "600")
      let database = KeyDatabase(
        path: path, pool: try DatabasePool(path: path, configuration: configuration(patience)))
      // GRDB sets `synchronous` to NORMAL when it turns WAL on, after `prepareDatabase`.
      try database.pool.writeWithoutTransaction { db in
        try db.execute(sql: "PRAGMA synchronous = FULL")
      }
      guard try !database.pool.read(Schema.migrator.hasBeenSuperseded) else {
        throw KeyManagerError(
          .unavailable,
          "the key database \(path) was made by a newer version of Coffer: use that one")
      }
      try Schema.migrator.migrate(database.pool)
      return database
    } catch {
      throw failure(error, path: path)
    }
  }

  private static func configuration(_ patience: Double) -> Configuration {
    var configuration = Configuration()
    configuration.label = "coffer.keys"
    configuration.busyMode = .timeout(patience)
    configuration.prepareDatabase { db in
      try db.execute(
        sql: """
          PRAGMA busy_timeout = \(Int(patience * 1000));
          PRAGMA secure_delete = ON;
          PRAGMA cell_size_check = ON;
          PRAGMA trusted_schema = OFF;
          PRAGMA temp_store = MEMORY;
          """)
    }
    return configuration
  }

  func read<Value: Sendable>(
    _ body: @Sendable (Database) throws -> Value
  ) async throws(KeyManagerError) -> Value {
    do {
      return try await pool.read(body)
    } catch {
      throw failure(error)
    }
  }

  func write<Value: Sendable>(
    _ body: @Sendable (Database) throws -> Value
  ) async throws(KeyManagerError) -> Value {
    do {
      return try await pool.write(body)
    } catch {
      throw failure(error)
    }
  }

  /// One write transaction on the calling thread, which it blocks.
  func writeBlocking<Value>(_ body: (Database) throws -> Value) throws(KeyManagerError) -> Value {
    do {
      return try pool.write(body)
    } catch {
      throw failure(error)
    }
  }

  /// Runs `body` on the writer's connection without a transaction, for tests of its settings.
  func onWriter<Value>(_ body: (Database) throws -> Value) throws -> Value {
    try pool.writeWithoutTransaction(body)
  }

  /// Writes the log back into the database and closes both. Blocks.
  func close() throws(KeyManagerError) {
    // What cannot be written back, on a full disk for example, stays in the log for the next start.
    _ = try? pool.writeWithoutTransaction { db in try db.checkpoint(.truncate) }
    do {
      try pool.close()
    } catch {
      throw failure(error)
    }
  }

  private func failure(_ error: any Error) -> KeyManagerError {
    Self.failure(error, path: path)
  }

  /// What `error` means to a caller.
  private static func failure(_ error: any Error, path: String) -> KeyManagerError {
    switch error {
    case let error as KeyManagerError:
      error
    case let error as DatabaseError:
      failure(of: error, path: path)
    case is RowDecodingError:
      KeyManagerError(
        .damaged,
        "the key database \(path) is damaged: a row does not have the columns' types; "
          + "restore it from a backup")
    case is CancellationError:
      KeyManagerError(.unavailable, "the request was cancelled; nothing was changed")
    case KeyStoreError.secretMemory(let error):
      KeyManagerError(.unavailable, error.description)
    default:
      KeyManagerError(.internalFailure, "\(error)")
    }
  }

  private static func failure(of error: DatabaseError, path: String) -> KeyManagerError {
    switch error.resultCode {
    case .SQLITE_BUSY, .SQLITE_LOCKED:
      KeyManagerError(
        .unavailable,
        "the key database \(path) is locked by another process; nothing was changed: end that "
          + "process, or try again")
    case .SQLITE_FULL:
      KeyManagerError(
        .internalFailure,
        "the disk that holds the key database \(path) is full; nothing was changed: make room and "
          + "try again")
    case .SQLITE_CORRUPT, .SQLITE_NOTADB:
      KeyManagerError(
        .damaged,
        "the key database \(path) is damaged (\(text(of: error))); restore it from a backup")
    case .SQLITE_INTERRUPT, .SQLITE_ABORT:
      KeyManagerError(.unavailable, "the request was cancelled; nothing was changed")
    case .SQLITE_MISUSE:
      KeyManagerError(.unavailable, "the key manager is closed")
    default:
      KeyManagerError(
        .internalFailure,
        "the key database \(path) failed (\(text(of: error))); nothing was changed: check its disk "
          + "and the rights on it")
    }
  }

  /// SQLite's own words. The error's description would have the statement too.
  private static func text(of error: DatabaseError) -> String {
    "\(error.message ?? "no reason given"), code \(error.extendedResultCode.rawValue)"
  }
}
