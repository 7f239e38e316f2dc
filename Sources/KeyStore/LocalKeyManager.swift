import GRDB
import HostSystem
public import KeyManager
public import SecretMemory
import Synchronization

/// The key manager of one machine: SQLite, with every value wrapped under its project's key and that
/// under the master key.
///
/// It is safe to use from many tasks at once; one process at a time may open a directory. An expired key
/// is there for nobody, except that its ID can still be deleted.
public final class LocalKeyManager: KeyManager {
  let database: KeyDatabase
  let projectKeys: ProjectKeys
  let masterKeys: any MasterKeyStore
  /// Whether a renewal of the master key is under way.
  let isRenewing = Atomic(false)
  private let lock: Mutex<Descriptor?>
  let now: @Sendable () -> Timestamp

  /// - Parameter now: tells the time.
  init(
    database: KeyDatabase, projectKeys: ProjectKeys, masterKeys: any MasterKeyStore,
    lock: consuming Descriptor, now: @escaping @Sendable () -> Timestamp
  ) {
    self.database = database
    self.projectKeys = projectKeys
    self.masterKeys = masterKeys
    self.lock = Mutex(lock)
    self.now = now
  }

  /// Ends the use of the directory. Every later call throws `unavailable`.
  public func close() async throws(KeyManagerError) {
    defer {
      projectKeys.clear()
      lock.withLock { $0 = nil }
    }
    try await onBlockingQueue { () throws(KeyManagerError) in try self.database.close() }
  }

  public func createKey(
    _ attributes: KeyAttributes, context: RequestContext
  ) async throws(KeyManagerError) -> KeyID {
    try RequestRules.check(.creator, context)
    let count: Int
    do throws(KeyGenerationError) {
      count = try KeyGeneration.byteCount(attributes)
    } catch {
      throw KeyManagerError(.invalidRequest, error.description)
    }
    var attributes = attributes
    attributes.algorithm = attributes.algorithm ?? KeyGeneration.defaultAlgorithm
    attributes.bitLength = attributes.bitLength ?? KeyGeneration.defaultLength
    let value: SecretBytes
    do {
      value = try RandomBytes.secret(count: count)
    } catch {
      throw KeyManagerError(.unavailable, error.description)
    }
    return try await insert(Value(value), attributes, context)
  }

  public func store(
    _ value: consuming SecretBytes?, _ attributes: KeyAttributes, context: RequestContext
  ) async throws(KeyManagerError) -> KeyID {
    try RequestRules.check(.creator, context)
    guard let value else { return try await insert(nil, attributes, context) }
    try RequestRules.check(valueOf: value.count)
    return try await insert(Value(value), attributes, context)
  }

  public func setValue(
    of id: KeyID, to value: consuming SecretBytes, contentType: String?, context: RequestContext
  ) async throws(KeyManagerError) {
    try RequestRules.check(.creator, context)
    try RequestRules.check(valueOf: value.count)
    try RequestRules.check("content type", contentType)
    let value = Value(value)
    try await database.write { db in
      let (secret, key) = try self.find(id, context, db)
      _ = try self.open(secret, with: key)
      guard !secret.record.hasValue else {
        throw KeyManagerError(.conflict, "key \(id) already has a value, which cannot be changed")
      }
      var record = secret.record
      record.hasValue = true
      record.updated = self.now()
      if let contentType { record.attributes.contentType = contentType }
      try secret.update(to: record, value: value.bytes, key: key, db)
    }
  }

  public func get(
    _ id: KeyID, context: RequestContext
  ) async throws(KeyManagerError) -> Key {
    try RequestRules.check(.reader, context)
    let (secret, key) = try await database.read { try self.findReadable(id, context, $0) }
    let value = try openReadable(secret, with: key, context)
    guard secret.record.hasValue else { throw Self.noValue(id) }
    return Key(record: secret.record, value: value)
  }

  public func record(
    of id: KeyID, context: RequestContext
  ) async throws(KeyManagerError) -> KeyRecord {
    try RequestRules.check(.reader, context)
    let (secret, key) = try await database.read { try self.findReadable(id, context, $0) }
    _ = try openReadable(secret, with: key, context)
    return secret.record
  }

  public func copy(
    _ id: KeyID, name: String?, context: RequestContext
  ) async throws(KeyManagerError) -> KeyID {
    try RequestRules.check(.creator, context)
    try RequestRules.check("name", name)
    let copy = KeyID.random()
    try await database.write { db in
      let (secret, key) = try self.findReadable(id, context, db)
      let value = try self.openReadable(secret, with: key, context)
      guard secret.record.hasValue else { throw Self.noValue(id) }
      let (project, projectKey) = try self.projectKeys.findOrMake(context.project, db)
      var attributes = secret.record.attributes
      attributes.name = name
      let now = self.now()
      let record = KeyRecord(
        id: copy, attributes: attributes, project: context.project, creator: context.user,
        created: now, updated: now, hasValue: true)
      try StoredSecret.insert(record, value: value, into: project, key: projectKey, db)
    }
    return copy
  }

  public func delete(
    _ id: KeyID, force: Bool, context: RequestContext
  ) async throws(KeyManagerError) {
    try RequestRules.check(.creator, context)
    try await database.write { db in
      // An admin may delete a row that does not verify; who created it, the row alone says.
      if !context.may(actAs: .admin) {
        let (secret, key) = try self.find(id, context, db)
        _ = try secret.open(with: key)
        guard secret.record.creator.utf8.elementsEqual(context.user.utf8) else {
          throw KeyManagerError(
            .notAuthorized,
            "key \(id) was created by another user: only that user or one with the role 'admin' "
              + "may delete it")
        }
      }
      if !force { try self.checkIsUnused(id, context, db) }
      guard try StoredSecret.delete(id, project: context.project, db) else {
        throw KeyManagerError.noSuchKey(id)
      }
    }
  }

  public func list(
    _ query: KeyQuery, context: RequestContext
  ) async throws(KeyManagerError) -> KeyPage {
    try RequestRules.check(.reader, context)
    try RequestRules.check(query)
    let listing = Listing(query, project: context.project, now: now())
    return try await database.read { db in
      let secrets = try listing.fetch(db)
      for secret in secrets {
        _ = try secret.open(with: self.projectKeys.key(of: secret.project, db))
      }
      return KeyPage(records: secrets.map(\.record), total: try listing.fetchTotal(db))
    }
  }

  private func insert(
    _ value: Value?, _ attributes: KeyAttributes, _ context: RequestContext
  ) async throws(KeyManagerError) -> KeyID {
    let now = now()
    try RequestRules.check(attributes, now: now)
    let record = KeyRecord(
      id: .random(), attributes: attributes, project: context.project, creator: context.user,
      created: now, updated: now, hasValue: value != nil)
    try await database.write { db in
      let (project, key) = try self.projectKeys.findOrMake(context.project, db)
      let value = try value ?? Value(.zeroed(count: 0))
      try StoredSecret.insert(record, value: value.bytes, into: project, key: key, db)
    }
    return record.id
  }

  /// Throws `inUse` if the key has consumers. What a damaged row says of them does not count.
  private func checkIsUnused(_ id: KeyID, _ context: RequestContext, _ db: Database) throws {
    do {
      let (secret, key) = try find(id, context, db)
      _ = try secret.open(with: key)
      let consumers = secret.record.consumers
      guard consumers.isEmpty else {
        throw KeyManagerError.inUse(id, by: consumers.map(\.consumer))
      }
    } catch let error as KeyManagerError where error.code == .damaged {
    } catch is RowDecodingError {}
  }

  /// The caller's key and what opens it. The same for a key of another project and for none.
  func find(
    _ id: KeyID, _ context: RequestContext, _ db: Database
  ) throws -> (StoredSecret, ProjectKey) {
    guard let secret = try StoredSecret.fetch(id, project: context.project, db) else {
      throw KeyManagerError.noSuchKey(id)
    }
    return (secret, try projectKeys.key(of: secret.project, db))
  }

  /// As `find`, and also another project's key whose ACL names the caller.
  func findReadable(
    _ id: KeyID, _ context: RequestContext, _ db: Database
  ) throws -> (StoredSecret, ProjectKey) {
    let own = try StoredSecret.fetch(id, project: context.project, db)
    guard let secret = try own ?? StoredSecret.fetch(id, reader: context.user, db) else {
      throw KeyManagerError.noSuchKey(id)
    }
    return (secret, try projectKeys.key(of: secret.project, db))
  }

  /// The value, once it is sure that the caller may read it.
  func openReadable(
    _ secret: StoredSecret, with key: ProjectKey, _ context: RequestContext
  ) throws(KeyManagerError) -> SecretBytes {
    let value = try open(secret, with: key)
    let access = secret.annotations.access
    if access?.users.contains(where: { $0.utf8.elementsEqual(context.user.utf8) }) == true {
      return value
    }
    let id = secret.record.id
    guard secret.record.project.utf8.elementsEqual(context.project.utf8) else {
      throw .noSuchKey(id)
    }
    let isCreator = secret.record.creator.utf8.elementsEqual(context.user.utf8)
    guard access?.projectAccess ?? true || isCreator || context.may(actAs: .admin) else {
      throw KeyManagerError(
        .notAuthorized, "key \(id) may be read by its creator and those whom its ACL names")
    }
    return value
  }

  /// The value, once the row has been verified and has not expired.
  func open(
    _ secret: StoredSecret, with key: ProjectKey
  ) throws(KeyManagerError) -> SecretBytes {
    let value = try secret.open(with: key)
    guard !secret.hasExpired(at: now()) else { throw .noSuchKey(secret.record.id) }
    return value
  }

  private static func noValue(_ id: KeyID) -> KeyManagerError {
    KeyManagerError(.notFound, "key \(id) has no value yet")
  }
}

/// A value on its way into a transaction: closures cannot hold one that is not copyable.
private final class Value: Sendable {
  let bytes: SecretBytes

  init(_ bytes: consuming SecretBytes) {
    self.bytes = bytes
  }
}
