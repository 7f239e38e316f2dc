import FoundationEssentials
import GRDB
import KeyManager
import SecretMemory
import Synchronization

/// A project's key, unwrapped.
final class ProjectKey: Sendable {
  /// 32 bytes.
  let value: SecretBytes

  init(value: consuming SecretBytes) {
    self.value = value
  }
}

/// The projects' keys: made with a project's first secret, wrapped under the master key, and unwrapped
/// as needed.
///
/// The target of a master key's renewal as a whole: every project's key is wrapped anew in one
/// transaction.
final class ProjectKeys: Sendable {
  /// A project as the database knows it.
  struct Project: Sendable {
    let number: Int64
    let name: String
  }

  private struct State {
    /// Those that open every project's key: one, or two while the master key is being renewed.
    var masterKeys: [MasterKey]
    /// By the project's number: two names may be equal as strings and different as bytes.
    var unwrapped: [Int64: ProjectKey] = [:]
  }

  /// How many keys are kept unwrapped; each takes a page of locked memory, which is limited.
  private static let capacity = 256

  private let state: Mutex<State>

  init(masterKey: MasterKey) {
    state = Mutex(State(masterKeys: [masterKey]))
  }

  var masterKeys: [MasterKey] { state.withLock { $0.masterKeys } }

  /// The key of a project that has one.
  func key(of project: Project, _ db: Database) throws -> ProjectKey {
    if let known = state.withLock({ $0.unwrapped[project.number] }) { return known }
    for masterKey in masterKeys {
      guard let key = try Self.unwrap(project, under: masterKey, db) else { continue }
      remember(key, of: project)
      return key
    }
    throw Self.damaged(project)
  }

  /// The project and its key, made when they are missing.
  func findOrMake(_ name: String, _ db: Database) throws -> (Project, ProjectKey) {
    let found = try Int64.fetchOne(
      db, sql: "SELECT id FROM projects WHERE name = ?", arguments: [name])
    if let found {
      let project = Project(number: found, name: name)
      return (project, try key(of: project, db))
    }
    try db.execute(sql: "INSERT INTO projects (name) VALUES (?)", arguments: [name])
    let project = Project(number: db.lastInsertedRowID, name: name)
    let key = ProjectKey(value: try RandomBytes.secret(count: AESGCM.keyLength))
    // The transaction may yet be rolled back, so the key is not remembered here.
    for masterKey in masterKeys {
      try Self.wrap(key, of: project, under: masterKey, db)
    }
    return (project, key)
  }

  /// Wraps every project's key under `new` as well.
  func authorize(_ new: MasterKey, using old: MasterKey, _ db: Database) throws {
    for project in try Self.all(db) {
      guard let key = try Self.unwrap(project, under: old, db) else { throw Self.damaged(project) }
      try Self.wrap(key, of: project, under: new, db)
    }
    // From here on a new project's key is wrapped under both. To know one master key more than the
    // database does no harm, should the transaction fail; one less would.
    state.withLock { state in
      if !state.masterKeys.contains(where: { $0.id == new.id }) { state.masterKeys.append(new) }
    }
  }

  /// Removes what is wrapped under `retired`, once it is sure that `kept` opens every project's key.
  func deauthorize(_ retired: MasterKeyID, keeping kept: MasterKey, _ db: Database) throws {
    try Self.verify(kept, db)
    try db.execute(
      sql: "DELETE FROM project_keys WHERE master_key = ?", arguments: [retired.description])
  }

  /// Throws unless `masterKey` opens every project's key.
  static func verify(_ masterKey: MasterKey, _ db: Database) throws {
    for project in try all(db) {
      guard try unwrap(project, under: masterKey, db) != nil else { throw damaged(project) }
    }
  }

  /// Stops wrapping new projects' keys under `retired`.
  func forget(_ retired: MasterKeyID) {
    state.withLock { $0.masterKeys.removeAll { $0.id == retired } }
  }

  /// Drops every unwrapped key.
  func clear() {
    state.withLock { $0.unwrapped = [:] }
  }

  private func remember(_ key: ProjectKey, of project: Project) {
    state.withLock { state in
      if state.unwrapped.count >= Self.capacity, let any = state.unwrapped.keys.first {
        state.unwrapped[any] = nil
      }
      state.unwrapped[project.number] = key
    }
  }

  private static func all(_ db: Database) throws -> [Project] {
    try Row.fetchAll(db, sql: "SELECT id, name FROM projects").map { row in
      Project(number: try row.decode(atIndex: 0), name: try row.decode(atIndex: 1))
    }
  }

  /// Nil when the project has no key that `masterKey` opens.
  private static func unwrap(
    _ project: Project, under masterKey: MasterKey, _ db: Database
  ) throws -> ProjectKey? {
    let wrapped = try Data.fetchOne(
      db.cachedStatement(
        sql: "SELECT wrapped FROM project_keys WHERE project = ? AND master_key = ?"),
      arguments: [project.number, masterKey.id.description])
    guard let wrapped else { return nil }
    let value = try Envelope.open(
      Array(wrapped), under: masterKey.value, bindingTo: associatedData(project, masterKey.id))
    guard let value, value.count == AESGCM.keyLength else { return nil }
    return ProjectKey(value: value)
  }

  private static func wrap(
    _ key: ProjectKey, of project: Project, under masterKey: MasterKey, _ db: Database
  ) throws {
    let wrapped = try Envelope.seal(
      key.value, under: masterKey.value, bindingTo: associatedData(project, masterKey.id))
    try db.cachedStatement(
      sql: "INSERT OR REPLACE INTO project_keys (project, master_key, wrapped) VALUES (?, ?, ?)"
    ).execute(arguments: [project.number, masterKey.id.description, Data(wrapped)])
  }

  private static func associatedData(
    _ project: Project, _ masterKey: MasterKeyID
  ) -> AssociatedData {
    var data = AssociatedData(purpose: "coffer project key 1")
    data.append(project.number)
    data.append(project.name)
    data.append(masterKey.description)
    return data
  }

  private static func damaged(_ project: Project) -> KeyManagerError {
    KeyManagerError(
      .damaged,
      "the key of project \(project.name) does not verify: the key database was damaged or changed, "
        + "or the master key is not the one it was made with; restore both from one backup")
  }
}
