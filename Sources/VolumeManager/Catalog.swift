import Foundation
import GRDB
import HostSystem
import KeyManager
import VolumeAPI

/// The catalog's tables in SQLite: volumes, the journal of operations, and attachments.
///
/// A commit is durable when it returns (WAL, `synchronous=FULL`).
struct Catalog: Sendable {
  private let database: DatabaseQueue
  private let path: String

  /// Opens the file, and makes it with mode 0600 when it is not there.
  static func open(_ path: String) throws(VolumeError) -> Catalog {
    // SQLite gives the WAL the mode of the database.
    _ = try trying("cannot open the catalog") { () throws(SystemError) in
      try Descriptor.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
    }
    var configuration = Configuration()
    configuration.foreignKeysEnabled = true
    configuration.busyMode = .timeout(10)
    // Not `journalMode`: GRDB turns `synchronous` down to NORMAL with it.
    configuration.prepareDatabase {
      try $0.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    }
    do {
      let database = try DatabaseQueue(path: path, configuration: configuration)
      try migrator.migrate(database)
      return Catalog(database: database, path: path)
    } catch {
      throw VolumeError(
        .internalFailure, "cannot open the catalog \(path): \(error)",
        advice: "Restore the file from a backup if it is damaged.")
    }
  }

  /// Runs `body` in one transaction.
  func write<Value>(_ body: (Database) throws -> Value) throws(VolumeError) -> Value {
    do {
      return try database.write(body)
    } catch {
      throw failure(error)
    }
  }

  /// Runs `body` on one consistent state.
  func read<Value>(_ body: (Database) throws -> Value) throws(VolumeError) -> Value {
    do {
      return try database.read(body)
    } catch {
      throw failure(error)
    }
  }

  private func failure(_ error: any Error) -> VolumeError {
    switch error {
    case let error as VolumeError:
      error
    case let error as DatabaseError where error.resultCode == .SQLITE_FULL:
      VolumeError(.noSpace, "no space for the catalog \(path)", advice: "Free some space.")
    default:
      VolumeError(.internalFailure, "the catalog \(path) cannot be used: \(error)")
    }
  }

  private static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("volumes-1") { database in
      try database.execute(
        sql: """
          CREATE TABLE volume (
            id TEXT PRIMARY KEY NOT NULL,
            project TEXT NOT NULL,
            name TEXT NOT NULL,
            state TEXT NOT NULL,
            origin TEXT NOT NULL,
            -- NULL in the pool, where the ID says it.
            image TEXT UNIQUE,
            keyID TEXT,
            size INTEGER NOT NULL,
            sectorSize INTEGER NOT NULL,
            luksVersion INTEGER NOT NULL,
            keyslot INTEGER,
            user TEXT NOT NULL,
            roles TEXT NOT NULL,
            uid INTEGER NOT NULL,
            gid INTEGER NOT NULL,
            created INTEGER NOT NULL,
            UNIQUE (project, name)
          ) STRICT;

          CREATE TABLE operation (
            volume TEXT PRIMARY KEY NOT NULL REFERENCES volume (id),
            kind TEXT NOT NULL,
            step TEXT NOT NULL,
            uid INTEGER NOT NULL,
            gid INTEGER NOT NULL,
            userKeyslots TEXT NOT NULL,
            started INTEGER NOT NULL
          ) STRICT;

          CREATE TABLE attachment (
            id TEXT PRIMARY KEY NOT NULL,
            project TEXT NOT NULL,
            volume TEXT,
            keyID TEXT NOT NULL,
            image TEXT NOT NULL,
            mountpoint TEXT NOT NULL,
            pid INTEGER NOT NULL,
            startTime INTEGER NOT NULL,
            boot TEXT NOT NULL,
            uid INTEGER NOT NULL,
            readOnly INTEGER NOT NULL,
            created INTEGER NOT NULL
          ) STRICT;
          """)
    }
    return migrator
  }
}
