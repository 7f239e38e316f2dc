public import HostSystem
public import KeyManager
public import SecretMemory
public import VolumeAPI

/// The catalog of volumes, and every operation on them.
///
/// A volume of another project and a volume that does not exist are the same to a caller:
/// `noSuchVolume`.
public actor VolumeManager {
  /// Opens the catalog and the pool, and makes them when they are not there.
  ///
  /// - Parameters:
  ///   - database: the path of the SQLite file, made with mode 0600.
  ///   - pool: the path of the directory that holds the images, made with mode 0711.
  public static func open(
    database: String, pool: String, keys: any KeyManager, worker: WorkerCommand = WorkerCommand()
  ) async throws(VolumeError) -> VolumeManager {
    VolumeManager()
  }

  /// Finishes or undoes what a crash left behind. To be called once, before anything else.
  ///
  /// - Returns: sentences for the log, one for each operation that was found unfinished.
  public func recover() async throws(VolumeError) -> [String] { [] }

  /// Whether an operation runs or an attachment lives: then the daemon must not stop for idleness.
  public func isBusy() async -> Bool { false }

  /// Makes a volume: its key, its image, its entry. All is undone when a part fails.
  public func create(
    _ creation: VolumeCreation, context: RequestContext, caller: PeerCredentials
  ) async throws(VolumeError) -> VolumeDocument {
    throw VolumeError(.internalFailure, "create is missing")
  }

  /// Adopts a LUKS1 or LUKS2 image made elsewhere: adds a managed keyslot and, on LUKS2, the token; the
  /// user's own keyslots stay.
  ///
  /// - Parameter passphrase: one that opens the image now.
  public func importImage(
    _ request: VolumeImport, passphrase: consuming SecretBytes, context: RequestContext,
    caller: PeerCredentials
  ) async throws(VolumeError) -> VolumeDocument {
    throw VolumeError(.internalFailure, "import is missing")
  }

  /// The project's volumes, by name.
  public func volumes(context: RequestContext) async throws(VolumeError) -> [VolumeDocument] { [] }

  /// One volume, by its ID or its name.
  public func volume(
    _ idOrName: String, context: RequestContext
  ) async throws(VolumeError) -> VolumeDocument {
    throw VolumeError(.noSuchVolume, "no volume '\(idOrName)'")
  }

  /// Deletes a volume that is not in use: wipes its keyslots, removes the image that Coffer made, then
  /// deletes the key. An imported image keeps its file and the user's own keyslots.
  public func delete(
    _ idOrName: String, context: RequestContext, caller: PeerCredentials
  ) async throws(VolumeError) {
    throw VolumeError(.noSuchVolume, "no volume '\(idOrName)'")
  }

  /// Notes that the calling process serves an image. Its pid and uid are the caller's, whatever the
  /// document says.
  ///
  /// - Returns: the document as it is kept.
  @discardableResult
  public func register(
    _ attachment: AttachmentDocument, context: RequestContext, caller: PeerCredentials
  ) async throws(VolumeError) -> AttachmentDocument {
    attachment
  }

  /// Forgets an attachment; only its own user and root may.
  public func unregister(
    _ id: AttachmentID, context: RequestContext, caller: PeerCredentials
  ) async throws(VolumeError) {}

  /// The project's attachments whose process still lives.
  public func attachments(
    context: RequestContext
  ) async throws(VolumeError) -> [AttachmentDocument] { [] }
}
