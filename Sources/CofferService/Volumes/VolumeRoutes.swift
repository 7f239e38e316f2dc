import FoundationEssentials
import Hummingbird
import KeyManager
import VolumeAPI
import VolumeManager

/// Coffer's volumes and attachments, under `/coffer/v1`.
struct VolumeRoutes {
  let volumes: VolumeManager
  let status: ServiceStatus
  /// Passphrases lie in locked memory, of which there is not much.
  private let imports = UserLimit(4)

  init(volumes: VolumeManager, status: ServiceStatus) {
    self.volumes = volumes
    self.status = status
  }

  /// The largest passphrase, in bytes: libcryptsetup's default limit of a key file.
  static let passphraseLimit = 8 << 20
  /// The largest JSON document, in bytes: two paths of 4096 bytes, escaped, have room.
  static let documentLimit = 64 << 10

  func add(to router: Router<Call>) {
    router.resource("/coffer/v1/status", [.get: showStatus])
    router.resource("/coffer/v1/volumes", [.get: list, .post: create])
    router.resource("/coffer/v1/volumes/import", [.get: show, .delete: delete, .post: importImage])
    router.resource("/coffer/v1/volumes/:volume", [.get: show, .delete: delete])
    router.resource("/coffer/v1/attachments", [.get: listAttachments, .post: register])
    router.resource("/coffer/v1/attachments/:id", [.delete: unregister])
  }

  @Sendable private func showStatus(_ request: Request, _ call: Call) throws -> Response {
    try .json(status)
  }

  @Sendable private func create(_ request: Request, _ call: Call) async throws -> Response {
    let creation = try await request.document(VolumeCreation.self)
    let volume = try await volumes.create(
      creation, context: call.keyContext(request), caller: call.caller())
    return try .json(volume, status: .created, location: request.volumeURL(volume.id))
  }

  @Sendable private func importImage(_ request: Request, _ call: Call) async throws -> Response {
    let items = try QueryItems(request.uri.query)
    guard let name = items["name"], let image = items["image"] else {
      throw ServiceError(
        .badRequest, "the query string must have 'name' and 'image'", reason: .invalidRequest)
    }
    var keyID: KeyID?
    if let text = items["key_id"] {
      keyID = KeyID(text)
      guard keyID != nil else { throw VolumeError(.noSuchKey, "no key \(text)") }
    }
    let uid = try call.caller().uid
    guard imports.admit(uid) else {
      throw ServiceError(
        .serviceUnavailable, "too many imports at once", reason: .keyManagerUnavailable,
        advice: "Try again when one has ended.")
    }
    defer { imports.release(uid) }
    let passphrase = try await request.secretBody(
      limit: Self.passphraseLimit,
      tooLarge: ServiceError(
        .contentTooLarge, "a passphrase has at most \(Self.passphraseLimit) bytes",
        reason: .invalidRequest))
    let volume = try await volumes.importImage(
      VolumeImport(name: name, image: image, keyID: keyID), passphrase: passphrase,
      context: call.keyContext(request), caller: call.caller())
    return try .json(volume, status: .created, location: request.volumeURL(volume.id))
  }

  @Sendable private func list(_ request: Request, _ call: Call) async throws -> Response {
    try await .json(VolumeList(volumes: volumes.volumes(context: call.keyContext(request))))
  }

  @Sendable private func show(_ request: Request, _ call: Call) async throws -> Response {
    try await .json(volumes.volume(call.volumeName(), context: call.keyContext(request)))
  }

  @Sendable private func delete(_ request: Request, _ call: Call) async throws -> Response {
    try await volumes.delete(
      call.volumeName(), context: call.keyContext(request), caller: call.caller())
    return .noContent
  }

  @Sendable private func register(_ request: Request, _ call: Call) async throws -> Response {
    let attachment = try await request.document(AttachmentDocument.self)
    let kept = try await volumes.register(
      attachment, context: call.keyContext(request), caller: call.caller())
    return try .json(
      kept, status: .created, location: "\(request.base)/coffer/v1/attachments/\(kept.id)")
  }

  @Sendable private func unregister(_ request: Request, _ call: Call) async throws -> Response {
    guard let id = try AttachmentID(call.parameter("id")) else {
      throw ServiceError(.notFound, "no such attachment", reason: .noSuchVolume)
    }
    try await volumes.unregister(
      id, context: call.keyContext(request), caller: call.caller())
    return .noContent
  }

  @Sendable private func listAttachments(
    _ request: Request, _ call: Call
  ) async throws -> Response {
    let attachments = try await volumes.attachments(context: call.keyContext(request))
    return try .json(AttachmentList(attachments: attachments))
  }
}

extension Call {
  /// The volume that the path names. `import` is a path of its own, and a name like any other.
  fileprivate func volumeName() throws(ServiceError) -> String {
    parameters.get("volume") == nil ? "import" : try parameter("volume")
  }
}

extension Request {
  fileprivate func volumeURL(_ id: VolumeID) -> String { "\(base)/coffer/v1/volumes/\(id)" }

  fileprivate func document<Document: Decodable>(
    _ type: Document.Type
  ) async throws -> Document {
    do {
      return try await document(
        type, limit: VolumeRoutes.documentLimit,
        tooLarge: ServiceError(
          .contentTooLarge, "the body has at most \(VolumeRoutes.documentLimit) bytes"))
    } catch let error as ServiceError {
      throw ServiceError(error.status, error.description, reason: .invalidRequest)
    }
  }
}
