public import BarbicanAPI
public import SecretMemory

/// Coffer's own routes: volumes, attachments and the service's status.
public struct VolumeClient: Sendable {
  private let transport: HTTPTransport
  private let headers: [String: String]

  /// - Parameter project: act for this project; only for root and the service user.
  public init(_ transport: HTTPTransport, project: String? = nil) {
    self.transport = transport
    var headers: [String: String] = [:]
    headers["X-Project-Id"] = project
    self.headers = headers
  }

  /// What the service says of itself.
  public func status() async throws(VolumeError) -> ServiceStatus {
    try await ask(.init(.get, "/coffer/v1/status"), for: ServiceStatus.self)
  }

  /// Makes a volume.
  public func createVolume(_ creation: VolumeCreation) async throws(VolumeError) -> VolumeDocument {
    var request = HTTPTransport.Request(.post, volumesPath, json: creation)
    request.timeout = patience
    return try await ask(request, for: VolumeDocument.self)
  }

  /// The caller's volumes.
  public func volumes() async throws(VolumeError) -> [VolumeDocument] {
    try await ask(.init(.get, volumesPath), for: VolumeList.self).volumes
  }

  /// One volume.
  public func volume(_ nameOrID: String) async throws(VolumeError) -> VolumeDocument {
    try await ask(.init(.get, path(nameOrID)), for: VolumeDocument.self)
  }

  /// Deletes a volume, its image if that lies in the pool, and its key.
  public func deleteVolume(_ nameOrID: String) async throws(VolumeError) {
    var request = HTTPTransport.Request(.delete, path(nameOrID))
    request.timeout = patience
    try await tell(request)
  }

  /// Adopts an image made elsewhere.
  ///
  /// - Parameter passphrase: one that opens the image now.
  public func importVolume(
    _ volume: VolumeImport, passphrase: consuming SecretBytes
  ) async throws(VolumeError) -> VolumeDocument {
    var target = "\(volumesPath)/import?name=\(percentEncoded(volume.name))"
    target += "&image=\(percentEncoded(volume.image))"
    if let keyID = volume.keyID { target += "&key_id=\(keyID)" }
    var request = HTTPTransport.Request(
      .post, target, secret: passphrase, contentType: "application/octet-stream")
    request.timeout = patience
    return try await ask(request, for: VolumeDocument.self)
  }

  /// Tells the service of an attachment that this process serves.
  ///
  /// - Returns: the attachment as the service keeps it, with what it knows of the caller.
  public func register(
    _ attachment: AttachmentDocument
  ) async throws(VolumeError) -> AttachmentDocument {
    try await ask(
      .init(.post, attachmentsPath, json: attachment), for: AttachmentDocument.self)
  }

  /// The caller's attachments.
  public func attachments() async throws(VolumeError) -> [AttachmentDocument] {
    try await ask(.init(.get, attachmentsPath), for: AttachmentList.self).attachments
  }

  /// Tells the service that an attachment has ended.
  public func unregister(_ id: AttachmentID) async throws(VolumeError) {
    try await tell(.init(.delete, "\(attachmentsPath)/\(id)"))
  }

  // MARK: Requests and answers

  private func ask<Document: Decodable>(
    _ request: consuming HTTPTransport.Request, for type: Document.Type
  ) async throws(VolumeError) -> Document {
    let answer = try await send(request)
    do {
      return try answer.document(type)
    } catch {
      throw VolumeError(error)
    }
  }

  private func tell(_ request: consuming HTTPTransport.Request) async throws(VolumeError) {
    _ = try await send(request).status
  }

  /// The answer, a good one.
  private func send(
    _ request: consuming HTTPTransport.Request
  ) async throws(VolumeError) -> HTTPTransport.Response {
    request.headers = headers
    let answer: HTTPTransport.Response
    do {
      answer = try await transport.send(request)
    } catch {
      throw VolumeError(error)
    }
    guard answer.isSuccess else { throw VolumeError(answer, endpoint: transport.endpoint) }
    return answer
  }

  private func path(_ nameOrID: String) -> String {
    "\(volumesPath)/\(percentEncoded(nameOrID))"
  }
}

private let volumesPath = "/coffer/v1/volumes"
private let attachmentsPath = "/coffer/v1/attachments"

/// For what derives keys from passphrases or waits for a disk.
private let patience = Duration.seconds(300)
