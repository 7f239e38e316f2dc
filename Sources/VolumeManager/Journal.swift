import GRDB
import KeyManager
import VolumeAPI

/// The steps of an operation, for tests that end the process there.
enum JournalPoint: String, CaseIterable, Sendable {
  /// The operation is in the journal.
  case begun
  /// The key exists, and the catalog does not know it.
  case keyMade
  case keyRecorded
  /// There is an empty image in the pool.
  case imageCreated
  /// The work on the image is done, and the catalog does not know it.
  case imageDone
  case imageRecorded
  case keyDeleted
  /// The operation is no longer in the journal.
  case ended
}

/// How operations begin and are undone. What is to be done to a crash's remains follows from the journal
/// alone: what was made is removed, what was being deleted is deleted.
extension VolumeManager {
  /// Takes the name and the image for a new volume and enters the operation.
  func begin(_ row: VolumeRow, _ kind: OperationRow.Kind, userKeyslots: [Int] = [])
    throws(VolumeError)
  {
    try catalog.write { database in
      if try VolumeRow.find(row.name, project: row.project, in: database) != nil {
        throw VolumeError(
          .alreadyExists, "there is a volume '\(row.name)' already", advice: "Choose another name.")
      }
      if let image = row.image,
        try Bool.fetchOne(
          database, sql: "SELECT 1 FROM volume WHERE image = ?", arguments: [image]) != nil
      {
        throw Self.imageIsTaken(image)
      }
      try row.insert(database)
      try OperationRow(
        volume: row.id, kind: kind, step: .key, uid: row.uid, gid: row.gid,
        userKeyslots: userKeyslots, started: Timestamp.now().microseconds
      ).insert(database)
    }
    running.insert(row.id)
    reached(.begun)
  }

  static func imageIsTaken(_ image: String) -> VolumeError {
    VolumeError(.alreadyExists, "\(image) is the image of another volume")
  }

  /// Notes the key: from here on the image may be touched.
  func record(key: KeyID, of volume: VolumeID) throws(VolumeError) {
    try catalog.write { database in
      try database.execute(
        sql: "UPDATE volume SET keyID = ? WHERE id = ?",
        arguments: [key.description, volume.description])
      try OperationRow.advance(volume, to: .image, in: database)
    }
    reached(.keyRecorded)
  }

  /// Makes a new volume available and ends the operation.
  func commit(_ row: VolumeRow, _ facts: ImageFacts) throws(VolumeError) -> VolumeDocument {
    reached(.imageDone)
    var row = row
    row.state = .available
    row.size = Int64(facts.size)
    row.sectorSize = facts.sectorSize
    row.luksVersion = facts.luksVersion
    row.keyslot = facts.keyslot
    let committed = row
    try catalog.write { database in
      try committed.update(database)
      try OperationRow.end(committed.id, in: database)
    }
    reached(.ended)
    guard let document = document(committed, []) else {
      throw VolumeError(.internalFailure, "volume \(row.id) has no key")
    }
    return document
  }

  /// Undoes the operation after `error` and throws that.
  func fail(_ volume: VolumeID, _ error: VolumeError) async throws(VolumeError) -> Never {
    do throws(VolumeError) {
      try await undo(volume)
    } catch let second {
      throw VolumeError(
        error.code, error.message,
        advice: "What had been made could not be removed (\(second.message)); this is tried again "
          + "when cofferd next starts, or with: coffer volume delete")
    }
    throw error
  }

  /// Undoes the making or the adoption of a volume, as far as it went: image, key, entry.
  func undo(_ volume: VolumeID) async throws(VolumeError) {
    let found = try catalog.read { database in
      (
        try VolumeRow.fetchOne(
          database, sql: "SELECT * FROM volume WHERE id = ?", arguments: [volume.description]),
        try OperationRow.find(volume, in: database)
      )
    }
    guard let row = found.0, let operation = found.1 else { return }
    do throws(VolumeError) {
      try await undoImage(row, operation)
      try await deleteKeys(of: row)
    } catch {
      try catalog.write { database in
        try Self.set(.error, volume, in: database)
      }
      throw error
    }
    try forget(volume)
  }

  /// Removes the volume's entry and its operation's.
  func forget(_ volume: VolumeID) throws(VolumeError) {
    try catalog.write { database in
      try OperationRow.end(volume, in: database)
      try database.execute(
        sql: "DELETE FROM volume WHERE id = ?", arguments: [volume.description])
    }
  }

  private func undoImage(
    _ row: VolumeRow, _ operation: OperationRow
  ) async throws(VolumeError) {
    if row.origin == .pool {
      // Nothing was ever stored in it.
      return try pool.removeImage(of: row.id)
    }
    guard operation.step == .image else { return }
    do throws(WorkerFailure) {
      try await removeImage(row, operation)
    } catch {
      throw error.error
    }
  }

  /// Ends what a crash interrupted, oldest first.
  func recoverAll() async throws(VolumeError) -> [String] {
    let operations = try catalog.read {
      try OperationRow.fetchAll($0, sql: "SELECT * FROM operation ORDER BY started")
    }
    var sentences: [String] = []
    for operation in operations where !running.contains(operation.volume) {
      let id = operation.volume
      running.insert(id)
      do throws(VolumeError) {
        switch operation.kind {
        case .create, .adopt:
          try await undo(id)
          sentences.append("volume \(id), which was being made when cofferd stopped, was removed")
        case .delete:
          try await finishDeletion(id)
          sentences.append("volume \(id), which was being deleted when cofferd stopped, is deleted")
        }
      } catch {
        sentences.append(
          "volume \(id) is unfinished (\(operation.kind.rawValue)), and this could not be ended: "
            + "\(error.message)")
      }
      running.remove(id)
    }
    return sentences
  }
}
