import GRDB
import Glibc
public import HostSystem
public import KeyManager
import LUKS
public import SecretMemory
public import VolumeAPI

/// The catalog of volumes, and every operation on them.
///
/// A volume of another project and a volume that does not exist are the same to a caller:
/// `noSuchVolume`. An operation that has begun goes on to its end, or is undone, even if the task that
/// asked for it is cancelled.
public actor VolumeManager {
  let catalog: Catalog
  let pool: Pool
  let keys: any KeyManager
  let workers: WorkerRunner
  let boot = AttachmentRow.currentBoot()
  /// Called at each step of the journal.
  let reached: @Sendable (JournalPoint) -> Void
  /// The volumes that an operation of this process is at work on.
  var running: Set<VolumeID> = []
  /// SQLite's calls block.
  private let executor = QueueExecutor("coffer.volumes")

  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  /// Opens the catalog and the pool, and makes them when they are not there. One process at a time can.
  ///
  /// - Parameters:
  ///   - database: the path of the SQLite file, made with mode 0600.
  ///   - pool: the path of the directory that holds the images, made with mode 0711.
  /// - Throws: `inUse` when another process has the pool open.
  public static func open(
    database: String, pool: String, keys: any KeyManager, worker: WorkerCommand = WorkerCommand()
  ) async throws(VolumeError) -> VolumeManager {
    try await open(database: database, pool: pool, keys: keys, worker: worker) { _ in }
  }

  static func open(
    database: String, pool: String, keys: any KeyManager, worker: WorkerCommand,
    reached: @escaping @Sendable (JournalPoint) -> Void
  ) async throws(VolumeError) -> VolumeManager {
    let pool = try Pool.open(pool)
    let workers = WorkerRunner(worker, lock: try await pool.lock())
    return VolumeManager(
      catalog: try Catalog.open(database), pool: pool, keys: keys, workers: workers,
      reached: reached)
  }

  private init(
    catalog: Catalog, pool: consuming Pool, keys: any KeyManager, workers: WorkerRunner,
    reached: @escaping @Sendable (JournalPoint) -> Void
  ) {
    self.catalog = catalog
    self.pool = pool
    self.keys = keys
    self.workers = workers
    self.reached = reached
  }

  /// Finishes or undoes what a crash left behind. To be called once, before anything else.
  ///
  /// - Returns: sentences for the log, one for each operation that was found unfinished.
  public func recover() async throws(VolumeError) -> [String] {
    try await toItsEnd { () async throws(VolumeError) in try await self.recoverAll() }
  }

  /// Whether an operation runs or an attachment lives: then the daemon must not stop for idleness.
  public func isBusy() -> Bool {
    if !running.isEmpty { return true }
    let living = try? catalog.write { try AttachmentRow.living(in: $0, boot: boot) }
    return living?.isEmpty != true
  }

  /// How many volumes are attached, of all projects.
  public func attachmentCount() throws(VolumeError) -> Int {
    try catalog.write { try AttachmentRow.living(in: $0, boot: boot).count }
  }

  /// Makes a volume: its key, its image, its entry. All is undone when a part fails.
  public func create(
    _ creation: VolumeCreation, context: RequestContext, caller: PeerCredentials
  ) async throws(VolumeError) -> VolumeDocument {
    try await toItsEnd { () async throws(VolumeError) in
      try await self.createVolume(creation, context, caller)
    }
  }

  /// Adopts a LUKS1 or LUKS2 image made elsewhere: adds a managed keyslot and, on LUKS2, the token; the
  /// user's own keyslots stay.
  ///
  /// - Parameter passphrase: one that opens the image now.
  public func importImage(
    _ request: VolumeImport, passphrase: consuming SecretBytes, context: RequestContext,
    caller: PeerCredentials
  ) async throws(VolumeError) -> VolumeDocument {
    let passphrase = SecretBox(passphrase)
    return try await toItsEnd { () async throws(VolumeError) in
      try await self.adoptImage(request, passphrase, context, caller)
    }
  }

  /// Deletes a volume that is not in use: wipes its keyslots, removes the image that Coffer made, then
  /// deletes the key. An imported image keeps its file and the user's own keyslots.
  ///
  /// An image or a key that is missing does not stand in the way.
  public func delete(
    _ idOrName: String, context: RequestContext, caller: PeerCredentials
  ) async throws(VolumeError) {
    try await toItsEnd { () async throws(VolumeError) in
      try await self.deleteVolume(idOrName, context, caller)
    }
  }

  /// The project's volumes, by name.
  public func volumes(context: RequestContext) throws(VolumeError) -> [VolumeDocument] {
    let (rows, living) = try catalog.write { database in
      (
        try VolumeRow.fetchAll(
          database,
          sql: "SELECT * FROM volume WHERE project = ? AND keyID IS NOT NULL ORDER BY name",
          arguments: [context.project]),
        try AttachmentRow.living(in: database, boot: boot)
      )
    }
    return rows.compactMap { document($0, living) }
  }

  /// One volume, by its ID or its name.
  public func volume(
    _ idOrName: String, context: RequestContext
  ) throws(VolumeError) -> VolumeDocument {
    let (row, living) = try catalog.write { database in
      (
        try VolumeRow.find(idOrName, project: context.project, in: database),
        try AttachmentRow.living(in: database, boot: boot)
      )
    }
    guard let row, let document = document(row, living) else { throw Self.noSuchVolume(idOrName) }
    return document
  }

  /// Nil while the volume has no key yet.
  func document(_ row: VolumeRow, _ living: [AttachmentRow]) -> VolumeDocument? {
    guard let keyID = row.keyID else { return nil }
    let attachment = living.first { $0.volume == row.id && $0.project == row.project }
    return VolumeDocument(
      id: row.id, name: row.name, keyID: keyID, size: UInt64(row.size), sectorSize: row.sectorSize,
      state: attachment != nil && row.state == .available ? .inUse : row.state,
      image: row.image ?? pool.imagePath(of: row.id), inPool: row.origin == .pool,
      luksVersion: row.luksVersion, projectID: row.project,
      createdAt: "\(Timestamp(microseconds: row.created))Z", mountpoint: attachment?.mountpoint,
      pid: attachment?.pid)
  }

  static func noSuchVolume(_ idOrName: String) -> VolumeError {
    VolumeError(
      .noSuchVolume, "no volume '\(idOrName)'", advice: "See the volumes with: coffer volume list")
  }

  /// In whose name images are touched. A daemon that is not root can do so for its own user alone.
  func rights(of caller: PeerCredentials) throws(VolumeError) -> WorkerUser {
    if geteuid() == 0 { return WorkerUser(uid: caller.uid, gid: caller.gid) }
    guard caller.uid == geteuid() || caller.uid == 0 else {
      throw VolumeError(
        .notAuthorized, "this cofferd belongs to user \(geteuid()), not to user \(caller.uid)",
        advice: "Use your own cofferd, or the system's.")
    }
    return WorkerUser(uid: geteuid(), gid: getegid())
  }

  /// Runs `body` in a task of its own, which nobody cancels: a step that is cancelled half-way could not
  /// even be undone.
  private func toItsEnd<Value: Sendable>(
    _ body: @escaping @Sendable () async throws(VolumeError) -> Value
  ) async throws(VolumeError) -> Value {
    try await Task { () async -> Result<Value, VolumeError> in
      do throws(VolumeError) {
        return .success(try await body())
      } catch {
        return .failure(error)
      }
    }.value.get()
  }
}
