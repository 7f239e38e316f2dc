import GRDB
public import HostSystem
public import KeyManager
public import VolumeAPI

/// The processes that serve images, as they register themselves. What locks an image is
/// `HostSystem.ImageLock`, not this.
extension VolumeManager {
  /// Notes that the calling process serves an image. Its pid and uid are the caller's, whatever the
  /// document says. The same process may register the same ID again.
  ///
  /// - Returns: the document as it is kept.
  @discardableResult
  public func register(
    _ attachment: AttachmentDocument, context: RequestContext, caller: PeerCredentials
  ) throws(VolumeError) -> AttachmentDocument {
    guard let process = ProcessIdentity.of(pid: caller.pid) else {
      throw VolumeError(
        .invalidRequest, "the process that registers an attachment cannot be seen from here",
        advice: "Run it outside of containers with process IDs of their own.")
    }
    let row = AttachmentRow(
      id: attachment.id, project: context.project, volume: attachment.volumeID,
      keyID: attachment.keyID, image: attachment.image, mountpoint: attachment.mountpoint,
      pid: caller.pid, startTime: Int64(bitPattern: process.startTime), boot: boot,
      uid: caller.uid, readOnly: attachment.readOnly, created: Timestamp.now().microseconds)
    try catalog.write { database in
      let other = try AttachmentRow.living(in: database, boot: boot).first { $0.id == row.id }
      if let other, other.pid != row.pid || other.startTime != row.startTime {
        throw VolumeError(.alreadyExists, "there is an attachment \(row.id) already")
      }
      if let id = row.volume,
        let volume = try VolumeRow.find(id.description, project: row.project, in: database),
        volume.state != .available
      {
        throw VolumeError(.inUse, "volume '\(volume.name)' is \(volume.state.rawValue)")
      }
      try row.save(database)
    }
    return row.document
  }

  /// Forgets an attachment; only its own user and root may.
  public func unregister(
    _ id: AttachmentID, context: RequestContext, caller: PeerCredentials
  ) throws(VolumeError) {
    try catalog.write { database in
      let row = try AttachmentRow.living(in: database, boot: boot).first { $0.id == id }
      guard let row, row.project == context.project, caller.uid == row.uid || caller.uid == 0
      else { throw VolumeError(.noSuchVolume, "no attachment \(id)") }
      try row.delete(database)
    }
  }

  /// The project's attachments whose process still lives, oldest first.
  public func attachments(
    context: RequestContext
  ) throws(VolumeError) -> [AttachmentDocument] {
    try catalog.write { try AttachmentRow.living(in: $0, boot: boot) }
      .filter { $0.project == context.project }
      .map(\.document)
  }
}
