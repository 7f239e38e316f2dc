import FoundationEssentials
import GRDB
import KeyManager
import SecretMemory

/// A row of the table `secrets`.
struct StoredSecret: Sendable {
  /// The row's number.
  let number: Int64
  let project: ProjectKeys.Project
  let record: KeyRecord
  let wrapped: [UInt8]
  let annotations: KeyAnnotations
  /// `annotations` as they are stored.
  private let annotationText: [UInt8]?

  static let columns = """
    number, project, id, creator, created, updated, name, type, algorithm, bit_length, mode,
    expiration, content_type, has_value, wrapped, annotations
    """

  /// True of the secret with the project's name and the ID as arguments. It takes the same steps for
  /// another project's secret as for one that does not exist.
  private static let isTheOne = """
    project = (SELECT id FROM projects WHERE name = ?) AND id = ?
    """

  static let lookup = "SELECT \(columns) FROM secrets WHERE \(isTheOne)"

  /// The project's secret of that ID.
  static func fetch(_ id: KeyID, project: String, _ db: Database) throws -> StoredSecret? {
    let row = try Row.fetchOne(
      db.cachedStatement(sql: lookup), arguments: [project, id.description])
    return try row.map { try StoredSecret(row: $0, project: project) }
  }

  /// The secret of that ID, of any project, whose ACL names the user. As many steps when there is none.
  static func fetch(_ id: KeyID, reader: String, _ db: Database) throws -> StoredSecret? {
    let row = try Row.fetchOne(
      db.cachedStatement(
        sql: """
          SELECT \(columns), (SELECT name FROM projects WHERE projects.id = project) FROM secrets
          WHERE number = (SELECT secret FROM readers WHERE reader = ? AND id = ?)
          """),
      arguments: [reader, id.description])
    return try row.map { try StoredSecret(row: $0, project: $0.decode(atIndex: 16)) }
  }

  /// - Parameter row: of `columns`, in that order.
  init(row: Row, project name: String) throws {
    number = try row.decode(atIndex: 0)
    project = ProjectKeys.Project(number: try row.decode(atIndex: 1), name: name)
    let text = try row.decode(String.self, atIndex: 2)
    let hasValue = try row.decode(Int.self, atIndex: 13)
    guard let id = KeyID(text), let type = SecretType(rawValue: try row.decode(atIndex: 7)),
      (0...1).contains(hasValue)
    else {
      throw Self.damaged(text)
    }
    annotationText = try row.decode(Data?.self, atIndex: 15).map { Array($0) }
    do {
      annotations = try annotationText.map(KeyAnnotations.init(json:)) ?? KeyAnnotations()
    } catch {
      throw Self.damaged(text)
    }
    record = KeyRecord(
      id: id,
      attributes: KeyAttributes(
        name: try row.decode(atIndex: 6), type: type, algorithm: try row.decode(atIndex: 8),
        bitLength: try row.decode(atIndex: 9), mode: try row.decode(atIndex: 10),
        expiration: try row.decode(Int64?.self, atIndex: 11).map(Timestamp.init(microseconds:)),
        contentType: try row.decode(atIndex: 12)),
      project: name, creator: try row.decode(atIndex: 3),
      created: Timestamp(microseconds: try row.decode(atIndex: 4)),
      updated: Timestamp(microseconds: try row.decode(atIndex: 5)),
      hasValue: hasValue == 1, consumers: annotations.consumers)
    wrapped = Array(try row.decode(Data.self, atIndex: 14))
  }

  /// The value, empty for a secret without one. Throws `damaged` unless the row is as it was written.
  func open(with key: ProjectKey) throws(KeyManagerError) -> SecretBytes {
    let value: SecretBytes?
    do {
      value = try Envelope.open(
        wrapped, under: key.value, bindingTo: Self.associatedData(record, annotationText))
    } catch {
      throw KeyManagerError(.unavailable, error.description)
    }
    guard let value else { throw Self.damaged(record.id.description) }
    return value
  }

  static func insert(
    _ record: KeyRecord, value: borrowing SecretBytes, into project: ProjectKeys.Project,
    key: ProjectKey, _ db: Database
  ) throws {
    let wrapped = try Envelope.seal(
      value, under: key.value, bindingTo: associatedData(record, nil))
    let attributes = record.attributes
    try db.cachedStatement(
      sql: """
        INSERT INTO secrets (
          project, id, creator, created, updated, name, type, algorithm, bit_length, mode, expiration,
          content_type, has_value, wrapped)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """
    ).execute(arguments: [
      project.number, record.id.description, record.creator, record.created.microseconds,
      record.updated.microseconds, attributes.name, attributes.type.rawValue, attributes.algorithm,
      attributes.bitLength, attributes.mode, attributes.expiration?.microseconds,
      attributes.contentType, record.hasValue ? 1 : 0, Data(wrapped),
    ])
  }

  /// Gives the secret its value, and the record's moment of update and content type.
  func update(
    to record: KeyRecord, value: borrowing SecretBytes, key: ProjectKey, _ db: Database
  ) throws {
    let wrapped = try Envelope.seal(
      value, under: key.value, bindingTo: Self.associatedData(record, annotationText))
    try db.cachedStatement(
      sql: """
        UPDATE secrets SET updated = ?, content_type = ?, has_value = ?, wrapped = ?
        WHERE number = ?
        """
    ).execute(arguments: [
      record.updated.microseconds, record.attributes.contentType, record.hasValue ? 1 : 0,
      Data(wrapped), number,
    ])
  }

  /// Replaces what is noted of the secret.
  ///
  /// - Parameter value: the secret's value, which is bound to the notes and so is wrapped anew.
  func update(
    to annotations: KeyAnnotations, value: borrowing SecretBytes, key: ProjectKey, _ db: Database
  ) throws {
    let text = try annotations.json()
    let wrapped = try Envelope.seal(
      value, under: key.value, bindingTo: Self.associatedData(record, text))
    try db.cachedStatement(sql: "UPDATE secrets SET annotations = ?, wrapped = ? WHERE number = ?")
      .execute(arguments: [text.map { Data($0) }, Data(wrapped), number])
    guard annotations.access?.users != self.annotations.access?.users else { return }
    try db.cachedStatement(sql: "DELETE FROM readers WHERE secret = ?").execute(arguments: [number])
    for user in annotations.access?.users ?? [] {
      try db.cachedStatement(sql: "INSERT INTO readers (reader, id, secret) VALUES (?, ?, ?)")
        .execute(arguments: [user, record.id.description, number])
    }
  }

  /// Returns whether there was such a secret.
  static func delete(_ id: KeyID, project: String, _ db: Database) throws -> Bool {
    try db.cachedStatement(sql: "DELETE FROM secrets WHERE \(isTheOne)")
      .execute(arguments: [project, id.description])
    return db.changesCount > 0
  }

  /// Whether its time is over.
  func hasExpired(at now: Timestamp) -> Bool {
    record.attributes.expiration.map { $0 <= now } ?? false
  }

  /// Version 1 has no notes, so that a database from before them stays as it is.
  private static func associatedData(
    _ record: KeyRecord, _ annotations: [UInt8]?
  ) -> AssociatedData {
    let attributes = record.attributes
    var data = AssociatedData(
      purpose: annotations == nil ? "coffer secret 1" : "coffer secret 2")
    data.append(record.id.description)
    data.append(record.project)
    data.append(record.creator)
    data.append(record.created.microseconds)
    data.append(record.updated.microseconds)
    data.append(attributes.name)
    data.append(attributes.type.rawValue)
    data.append(attributes.algorithm)
    data.append(attributes.bitLength.map(Int64.init))
    data.append(attributes.mode)
    data.append(attributes.expiration?.microseconds)
    data.append(attributes.contentType)
    data.append(record.hasValue)
    if let annotations { data.append(annotations) }
    return data
  }

  private static func damaged(_ id: String) -> KeyManagerError {
    KeyManagerError(
      .damaged,
      "key \(id) does not verify: its row in the key database was damaged or changed, and nothing of "
        + "it was handed out; restore the database from a backup, or delete the key")
  }
}
