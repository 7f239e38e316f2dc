import Foundation
import GRDB
import KeyManager
import VolumeAPI

/// A volume in the catalog.
struct VolumeRow: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "volume"

  /// Where the image came from, and so what deleting the volume does to it.
  enum Origin: String, Codable, Sendable {
    /// Coffer made it in its pool.
    case pool
    /// Coffer made it as a file elsewhere.
    case file
    /// Coffer made it on a block device.
    case device
    /// It was there before.
    case adopted
  }

  var id: VolumeID
  var project: String
  var name: String
  /// As far as the catalog knows; `in-use` is never stored.
  var state: VolumeState
  var origin: Origin
  /// Absolute; nil in the pool.
  var image: String?
  /// Nil only while the volume is being made.
  var keyID: KeyID?
  /// Of the decrypted image, in bytes.
  var size: Int64
  var sectorSize: Int
  var luksVersion: Int
  /// The managed keyslot.
  var keyslot: Int?
  /// Who made it: in the key manager, and on this machine.
  var user: String
  var roles: String
  var uid: UInt32
  var gid: UInt32
  /// Microseconds since the epoch.
  var created: Int64

  /// In whose name the key manager is asked.
  var owner: RequestContext {
    RequestContext(
      user: user, project: project,
      roles: Set(roles.split(separator: " ").compactMap { Role(rawValue: String($0)) }))
  }

  var rights: WorkerUser { WorkerUser(uid: uid, gid: gid) }

  static func encode(_ roles: Set<Role>) -> String {
    roles.map(\.rawValue).sorted().joined(separator: " ")
  }

  /// The volume of this name or ID that the project has.
  static func find(
    _ idOrName: String, project: String, in database: Database
  ) throws -> VolumeRow? {
    let column = VolumeID(idOrName) == nil ? "name" : "id"
    return try fetchOne(
      database, sql: "SELECT * FROM volume WHERE project = ? AND \(column) = ?",
      arguments: [project, idOrName])
  }
}

/// An operation that has begun and has not ended: a row of the journal.
///
/// `step` is what may have begun; everything before it is done.
struct OperationRow: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "operation"

  enum Kind: String, Codable, Sendable {
    case create, adopt, delete
  }

  enum Step: String, Codable, Sendable {
    /// The key is being made, or deleted; the image is not touched, or no longer.
    case key
    /// The image is being worked on.
    case image
  }

  var volume: VolumeID
  var kind: Kind
  var step: Step
  /// With whose rights the image is touched.
  var uid: UInt32
  var gid: UInt32
  /// The keyslots that an adopted image had before.
  var userKeyslots: [Int]
  /// Microseconds since the epoch.
  var started: Int64

  var rights: WorkerUser { WorkerUser(uid: uid, gid: gid) }

  /// The operation on a volume, if there is one.
  static func find(_ volume: VolumeID, in database: Database) throws -> OperationRow? {
    try fetchOne(
      database, sql: "SELECT * FROM operation WHERE volume = ?", arguments: [volume.description])
  }

  static func advance(_ volume: VolumeID, to step: Step, in database: Database) throws {
    try database.execute(
      sql: "UPDATE operation SET step = ? WHERE volume = ?",
      arguments: [step.rawValue, volume.description])
  }

  static func end(_ volume: VolumeID, in database: Database) throws {
    try database.execute(
      sql: "DELETE FROM operation WHERE volume = ?", arguments: [volume.description])
  }
}
