import Foundation
import GRDB
import HostSystem
import KeyManager
import VolumeAPI

/// A process that serves an image, as it registered itself.
struct AttachmentRow: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "attachment"

  var id: AttachmentID
  var project: String
  var volume: VolumeID?
  var keyID: KeyID
  var image: String
  var mountpoint: String
  var pid: Int32
  /// With `boot`, what tells the process from a later one of the same pid.
  var startTime: Int64
  var boot: String
  var uid: UInt32
  var readOnly: Bool
  /// Microseconds since the epoch.
  var created: Int64

  /// Whether the very process that registered still runs.
  func isAlive(boot: String) -> Bool {
    boot == self.boot
      && ProcessIdentity(pid: pid, startTime: UInt64(bitPattern: startTime)).isAlive
  }

  var document: AttachmentDocument {
    AttachmentDocument(
      id: id, volumeID: volume, keyID: keyID, image: image, mountpoint: mountpoint, pid: pid,
      uid: uid, readOnly: readOnly, createdAt: "\(Timestamp(microseconds: created))Z")
  }

  /// What the kernel calls its present run (random(4)).
  static func currentBoot() -> String {
    guard let file = try? Descriptor.open("/proc/sys/kernel/random/boot_id", O_RDONLY),
      let bytes = try? file.readAll(limit: 64)
    else { return "" }
    return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }

  /// The attachments whose process lives, oldest first; the others are dropped.
  static func living(in database: Database, boot: String) throws -> [AttachmentRow] {
    var living: [AttachmentRow] = []
    for row in try fetchAll(database, sql: "SELECT * FROM attachment ORDER BY created, id") {
      if row.isAlive(boot: boot) {
        living.append(row)
      } else {
        try row.delete(database)
      }
    }
    return living
  }
}
