import GRDB
import Glibc
import HostSystem
import KeyManager
import SecretMemory
import VolumeAPI

/// Deleting volumes. Order: the journal's entry, the image, the key, the catalog: the key goes when the data
/// is unreachable already.
extension VolumeManager {
  func deleteVolume(
    _ idOrName: String, _ context: RequestContext, _ caller: PeerCredentials
  ) async throws(VolumeError) {
    let rights = try rights(of: caller)
    let (row, operation) = try catalog.read { database in
      let row = try VolumeRow.find(idOrName, project: context.project, in: database)
      return (row, try row.flatMap { try OperationRow.find($0.id, in: database) })
    }
    guard let row else { throw Self.noSuchVolume(idOrName) }
    guard
      context.roles.contains(.admin)
        || context.roles.contains(.creator) && context.user == row.user
    else {
      throw VolumeError(
        .notAuthorized,
        "volume '\(row.name)' may be deleted by its creator and the project's admins")
    }
    guard !running.contains(row.id) else {
      throw VolumeError(
        .inUse, "another operation on volume '\(row.name)' is running", advice: "Wait for its end.")
    }
    running.insert(row.id)
    defer { running.remove(row.id) }
    switch operation?.kind {
    case .create, .adopt: try await undo(row.id)
    case .delete: try await finishDeletion(row.id)
    case nil:
      try beginDeletion(row, rights)
      try await finishDeletion(row.id, revertingTo: row.state)
    }
  }

  private func beginDeletion(_ row: VolumeRow, _ rights: WorkerUser) throws(VolumeError) {
    // Root deletes another user's volume with that user's rights: its path is not root's to follow. An
    // image in the pool was checked to be its user's.
    let own = row.origin == .pool || rights.uid == 0
    let operation = OperationRow(
      volume: row.id, kind: .delete, step: .image, uid: own ? row.uid : rights.uid,
      gid: own ? row.gid : rights.gid, userKeyslots: [], started: Timestamp.now().microseconds)
    try catalog.write { database in
      let attachment = try AttachmentRow.living(in: database, boot: boot)
        .first { $0.volume == row.id && $0.project == row.project }
      if let attachment {
        throw VolumeError(
          .inUse, "volume '\(row.name)' is attached at \(attachment.mountpoint)",
          advice: "Detach it first: coffer detach \(attachment.mountpoint)")
      }
      guard row.state == .available || row.state == .error else {
        throw VolumeError(.inUse, "volume '\(row.name)' is \(row.state.rawValue)")
      }
      try Self.set(.deleting, row.id, in: database)
      try operation.insert(database)
    }
    reached(.begun)
  }

  /// Does what is left of a deletion.
  ///
  /// - Parameter former: the state to go back to when the image was not changed; nil for a deletion that
  ///   was interrupted, which nobody knows that of.
  func finishDeletion(
    _ volume: VolumeID, revertingTo former: VolumeState? = nil
  ) async throws(VolumeError) {
    let found = try catalog.read { database in
      (
        try VolumeRow.fetchOne(
          database, sql: "SELECT * FROM volume WHERE id = ?", arguments: [volume.description]),
        try OperationRow.find(volume, in: database)
      )
    }
    guard let row = found.0, let operation = found.1 else { return }
    if operation.step == .image {
      do throws(WorkerFailure) {
        try await removeImage(row, operation)
      } catch {
        if let former, !error.changed {
          try catalog.write { database in
            try Self.set(former, volume, in: database)
            try OperationRow.end(volume, in: database)
          }
        }
        throw error.error
      }
      reached(.imageDone)
      try catalog.write { try OperationRow.advance(volume, to: .key, in: $0) }
      reached(.imageRecorded)
    }
    try await deleteKeys(of: row)
    reached(.keyDeleted)
    try forget(volume)
    reached(.ended)
  }

  /// Makes the data unreachable through the volume's key, and removes the file when Coffer made it. Nothing
  /// happens when there is no image.
  func removeImage(
    _ row: VolumeRow, _ operation: OperationRow
  ) async throws(WorkerFailure) {
    switch row.origin {
    case .pool:
      try await removePoolImage(row, operation.rights)
    case .file, .device:
      _ = try await workers.run(
        .remove(RemoveRequest(place: place(of: row), volumeID: row.id)), as: operation.rights)
    case .adopted:
      let request = ReleaseRequest(
        path: row.image ?? "", volumeID: row.id, userKeyslots: operation.userKeyslots,
        keyslot: row.keyslot)
      let secrets: [SecretBox]
      do throws(VolumeError) {
        secrets = try await passphrase(of: row).map { [$0] } ?? []
      } catch {
        throw WorkerFailure(error: error, changed: false)
      }
      _ = try await workers.run(.release(request), as: operation.rights, secrets: secrets)
    }
  }

  private func removePoolImage(
    _ row: VolumeRow, _ rights: WorkerUser
  ) async throws(WorkerFailure) {
    let image: PoolImage?
    do throws(VolumeError) {
      image = try pool.openImage(of: row.id, owner: row.uid)
    } catch {
      throw WorkerFailure(error: error, changed: false)
    }
    guard let image else { return }
    let request = RemoveRequest(place: place(of: row), volumeID: row.id)
    _ = try await workers.run(.remove(request), as: rights, image: image)
    do throws(VolumeError) {
      try pool.removeImage(of: row.id)
    } catch {
      throw WorkerFailure(error: error, changed: true)
    }
  }

  static func set(
    _ state: VolumeState, _ volume: VolumeID, in database: Database
  ) throws {
    try database.execute(
      sql: "UPDATE volume SET state = ? WHERE id = ?",
      arguments: [state.rawValue, volume.description])
  }
}
