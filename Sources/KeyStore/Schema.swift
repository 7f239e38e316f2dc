import GRDB

/// The tables, and how an older database is brought up to date.
///
/// - `projects`: a project's row keeps the integers in the other tables and their indexes small.
/// - `project_keys`: each project's key, wrapped under each master key that opens it: one, or two while
///   the master key is being renewed.
/// - `secrets`: a key's record in plain columns and its value in an `Envelope` under the project's key. A
///   key without a value has an envelope too, around nothing, which binds its columns.
/// - `secret_counts`: how many secrets have the same filterable columns, kept by triggers, so that a
///   listing's total needs no counting. Absent values are '' and 0.
///
/// The unique index starts with the project, so that looking up another project's key and one that does
/// not exist take the same steps; so does each index that serves a listing.
enum Schema {
  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1") { db in
      try db.execute(sql: version1)
    }
    migrator.registerMigration("2") { db in
      try db.execute(sql: version2)
    }
    return migrator
  }

  private static let version1 = """
    CREATE TABLE projects (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE
    ) STRICT;

    CREATE TABLE project_keys (
      project INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
      master_key TEXT NOT NULL,
      wrapped BLOB NOT NULL,
      PRIMARY KEY (project, master_key)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE secrets (
      number INTEGER PRIMARY KEY,
      project INTEGER NOT NULL REFERENCES projects (id),
      id TEXT NOT NULL,
      creator TEXT NOT NULL,
      created INTEGER NOT NULL,
      updated INTEGER NOT NULL,
      name TEXT,
      type TEXT NOT NULL,
      algorithm TEXT COLLATE NOCASE,
      bit_length INTEGER,
      mode TEXT COLLATE NOCASE,
      expiration INTEGER,
      content_type TEXT,
      has_value INTEGER NOT NULL,
      wrapped BLOB NOT NULL,
      UNIQUE (project, id)
    ) STRICT;

    CREATE INDEX secrets_by_created ON secrets (project, created);
    CREATE INDEX secrets_by_updated ON secrets (project, updated, created);
    CREATE INDEX secrets_by_name ON secrets (project, name, created);
    CREATE INDEX secrets_by_type ON secrets (project, type, created);
    CREATE INDEX secrets_by_algorithm ON secrets (project, algorithm, created);
    CREATE INDEX secrets_by_bit_length ON secrets (project, bit_length, created);
    CREATE INDEX secrets_by_mode ON secrets (project, mode, created);
    CREATE INDEX secrets_by_expiration ON secrets (project, expiration, created);

    CREATE TABLE secret_counts (
      project INTEGER NOT NULL,
      type TEXT NOT NULL,
      algorithm TEXT NOT NULL COLLATE NOCASE,
      bit_length INTEGER NOT NULL,
      mode TEXT NOT NULL COLLATE NOCASE,
      count INTEGER NOT NULL,
      PRIMARY KEY (project, type, algorithm, bit_length, mode)
    ) STRICT, WITHOUT ROWID;

    CREATE TRIGGER secrets_count_insert AFTER INSERT ON secrets BEGIN
      \(add("NEW"))
    END;
    CREATE TRIGGER secrets_count_delete AFTER DELETE ON secrets BEGIN
      \(subtract("OLD"))
    END;
    CREATE TRIGGER secrets_count_update
      AFTER UPDATE OF project, type, algorithm, bit_length, mode ON secrets BEGIN
      \(subtract("OLD"))
      \(add("NEW"))
    END;
    """

  /// - `annotations`: `KeyAnnotations` as JSON, or NULL; bound by the envelope like the other columns.
  /// - `readers`: where to find the secrets whose ACL names a user. It gives no right by itself.
  private static let version2 = """
    ALTER TABLE secrets ADD COLUMN annotations BLOB;

    CREATE TABLE readers (
      reader TEXT NOT NULL,
      id TEXT NOT NULL,
      secret INTEGER NOT NULL REFERENCES secrets (number) ON DELETE CASCADE,
      PRIMARY KEY (reader, id, secret)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX readers_by_secret ON readers (secret);
    """

  private static func add(_ row: String) -> String {
    """
    INSERT INTO secret_counts VALUES (
        \(row).project, \(row).type, ifnull(\(row).algorithm, ''), ifnull(\(row).bit_length, 0),
        ifnull(\(row).mode, ''), 1)
      ON CONFLICT DO UPDATE SET count = count + 1;
    """
  }

  private static func subtract(_ row: String) -> String {
    let group = """
      project = \(row).project AND type = \(row).type AND algorithm = ifnull(\(row).algorithm, '')
        AND bit_length = ifnull(\(row).bit_length, 0) AND mode = ifnull(\(row).mode, '')
      """
    return """
      UPDATE secret_counts SET count = count - 1 WHERE \(group);
      DELETE FROM secret_counts WHERE \(group) AND count = 0;
      """
  }
}
