import HostSystem
import KeyManager
import LUKS
import SecretMemory
import VolumeAPI

/// Making volumes. Order: the journal's entry, the key, the image with its header, the catalog.
extension VolumeManager {
  func createVolume(
    _ creation: VolumeCreation, _ context: RequestContext, _ caller: PeerCredentials
  ) async throws(VolumeError) -> VolumeDocument {
    try VolumeRules.check(name: creation.name)
    let sectorSize = try VolumeRules.sectorSize(creation.sectorSize)
    if let size = creation.size { try VolumeRules.check(size: size, sectorSize: sectorSize) }
    let rights = try rights(of: caller)
    try await checkRight(toCreateFrom: creation.keyID, context)
    let survey = try await survey(creation.image, rights)
    if creation.size == nil, survey?.isDevice != true {
      throw VolumeError(
        .invalidRequest, "the volume's size is missing",
        advice: "Give a size; only a block device has one of its own.")
    }
    let row = VolumeRow(
      id: .random(), project: context.project, name: creation.name, state: .creating,
      origin: survey.map { $0.isDevice ? .device : .file } ?? .pool, image: survey?.path,
      size: Int64(creation.size ?? 0), sectorSize: sectorSize, luksVersion: 2,
      user: context.user, roles: VolumeRow.encode(context.roles), uid: rights.uid, gid: rights.gid,
      created: Timestamp.now().microseconds)
    try begin(row, .create)
    defer { running.remove(row.id) }
    do throws(VolumeError) {
      let (keyed, passphrase) = try await withNewKey(row, from: creation.keyID)
      let facts = try await format(keyed, passphrase, creation)
      return try commit(keyed, facts)
    } catch {
      try await fail(row.id, error)
    }
  }

  /// Looks at the place where the user wants the image. Nil for the pool.
  private func survey(
    _ path: String?, _ rights: WorkerUser
  ) async throws(VolumeError) -> ImageSurvey? {
    guard let path else { return nil }
    try VolumeRules.check(path: path)
    guard case .surveyed(let survey) = try await look(.survey(path: path), rights) else {
      throw Self.unexpectedReply
    }
    if survey.isDevice { try checkIsFree(path, survey.headerIDs) }
    return survey
  }

  /// Throws when a header that lies on `path` is a volume's of the catalog.
  func checkIsFree(_ path: String, _ volumeIDs: [String]) throws(VolumeError) {
    let taken = try catalog.read { database in
      try volumeIDs.contains { id in
        try Bool.fetchOne(database, sql: "SELECT 1 FROM volume WHERE id = ?", arguments: [id])
          != nil
      }
    }
    if taken { throw Self.imageIsTaken(path) }
  }

  private func format(
    _ row: VolumeRow, _ passphrase: SecretBox, _ creation: VolumeCreation
  ) async throws(VolumeError) -> ImageFacts {
    let image = row.origin == .pool ? try pool.createImage(of: row.id, for: row.rights) : nil
    if image != nil { reached(.imageCreated) }
    guard let keyID = row.keyID else { throw Self.unexpectedReply }
    let request = FormatRequest(
      place: place(of: row), volumeID: row.id, keyID: keyID, size: creation.size,
      sectorSize: row.sectorSize, force: creation.force ?? false)
    return try await prepare(row, .format(request), secrets: [passphrase], image: image)
  }

  /// Has a worker make or adopt the image of a new volume.
  func prepare(
    _ row: VolumeRow, _ work: WorkerRequest.Work, secrets: [SecretBox], image: PoolImage? = nil
  ) async throws(VolumeError) -> ImageFacts {
    do throws(WorkerFailure) {
      guard
        case .ready(let facts) = try await workers.run(
          work, as: row.rights, secrets: secrets, image: image)
      else { throw WorkerFailure(error: Self.unexpectedReply, changed: true) }
      return facts
    } catch {
      // Then there is nothing to undo in it, and perhaps no right to do so.
      if !error.changed {
        try catalog.write { try OperationRow.advance(row.id, to: .key, in: $0) }
      }
      throw error.error
    }
  }

  func place(of row: VolumeRow) -> ImagePlace {
    let path = row.image ?? pool.imagePath(of: row.id)
    return switch row.origin {
    case .pool: .pool(path: path)
    case .device: .device(path: path)
    case .file, .adopted: .file(path: path)
    }
  }

  /// A worker's look at an image.
  func look(
    _ work: WorkerRequest.Work, _ rights: WorkerUser
  ) async throws(VolumeError) -> WorkerReply {
    do throws(WorkerFailure) {
      return try await workers.run(work, as: rights)
    } catch {
      throw error.error
    }
  }

  static var unexpectedReply: VolumeError {
    VolumeError(.internalFailure, "the worker answered another question")
  }
}
