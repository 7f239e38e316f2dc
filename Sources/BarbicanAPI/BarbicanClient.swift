public import KeyManager
public import SecretMemory

/// A key manager that speaks Barbican v1: `cofferd` on a Unix socket, or a real Barbican.
///
/// On the Unix socket the caller is who the kernel says. The context that a call is given therefore only
/// fills in what Barbican does not tell: the project of a record.
public struct BarbicanClient: KeyManager {
  let transport: HTTPTransport
  private let project: String?
  private let headers: [String: String]

  /// - Parameters:
  ///   - project: act for this project; only for root, the service user, and where a token allows it.
  ///   - token: a Keystone token, for a Barbican that asks for one.
  public init(_ transport: HTTPTransport, project: String? = nil, token: String? = nil) {
    self.transport = transport
    self.project = project
    // From 1.1 on keys have consumers, from 1.2 on these keep a key from being deleted.
    var headers = ["OpenStack-API-Version": "key-manager latest"]
    headers["X-Project-Id"] = project
    headers["X-Auth-Token"] = token
    self.headers = headers
  }

  public func createKey(
    _ attributes: KeyAttributes, context: RequestContext
  ) async throws(KeyManagerError) -> KeyID {
    let meta = OrderMeta(
      name: attributes.name, algorithm: attributes.algorithm ?? "aes",
      bitLength: attributes.bitLength ?? 256, mode: attributes.mode,
      expiration: attributes.expiration?.description, payloadContentType: attributes.contentType)
    let action = "cannot create a key"
    let answer = try await send(.init(.post, "/v1/orders", json: OrderCreation(meta: meta)))
    try check(answer, action)
    let reference = try document(OrderReference.self, in: answer)
    guard let last = reference.orderRef.split(separator: "/").last else {
      throw strange("its order has no ID")
    }
    let order = "/v1/orders/\(percentEncoded(String(last)))"
    let result: KeyID
    do throws(KeyManagerError) {
      result = try await outcome(ofOrder: order, action)
    } catch {
      await discard(order)
      throw error
    }
    await discard(order)
    return result
  }

  public func store(
    _ value: consuming SecretBytes?, _ attributes: KeyAttributes, context: RequestContext
  ) async throws(KeyManagerError) -> KeyID {
    let creation = SecretCreation(
      name: attributes.name, secretType: attributes.type, algorithm: attributes.algorithm,
      bitLength: attributes.bitLength, mode: attributes.mode,
      expiration: attributes.expiration?.description)
    let answer = try await send(.init(.post, "/v1/secrets", json: creation))
    try check(answer, "cannot store a key")
    let reference = try document(SecretReference.self, in: answer)
    guard let id = KeyID(secretRef: reference.secretRef) else {
      throw strange("its new key has no ID")
    }
    guard let value = value.take() else { return id }
    do throws(KeyManagerError) {
      try await setValue(
        of: id, to: value, contentType: attributes.contentType, context: context)
    } catch {
      do throws(KeyManagerError) {
        try await delete(id, context: context)
      } catch let leftover where leftover.code != .notFound {
        throw KeyManagerError(
          error.code, "\(error.message). Key \(id) without a value is left over: delete it")
      } catch {}
      throw error
    }
    return id
  }

  public func setValue(
    of id: KeyID, to value: consuming SecretBytes, contentType: String?, context: RequestContext
  ) async throws(KeyManagerError) {
    let request = HTTPTransport.Request(
      .put, path(id), secret: value, contentType: contentType ?? octets)
    try check(try await send(request), "cannot set the value of key \(id)", id)
  }

  public func get(_ id: KeyID, context: RequestContext) async throws(KeyManagerError) -> Key {
    let record = try await record(of: id, context: context)
    return Key(record: record, value: try await value(of: record))
  }

  public func record(
    of id: KeyID, context: RequestContext
  ) async throws(KeyManagerError) -> KeyRecord {
    let answer = try await send(.init(.get, path(id)))
    try check(answer, "cannot look up key \(id)", id)
    return try self.record(id, in: answer, context)
  }

  private func record(
    _ id: KeyID, in answer: borrowing HTTPTransport.Response, _ context: RequestContext
  ) throws(KeyManagerError) -> KeyRecord {
    let document = try document(SecretDocument.self, in: answer)
    guard let record = document.record(project: project ?? context.project), record.id == id else {
      throw strange("it answered with another key than \(id)")
    }
    return record
  }

  /// Where the far side has no copying, the value travels: it is fetched and stored again.
  public func copy(
    _ id: KeyID, name: String?, context: RequestContext
  ) async throws(KeyManagerError) -> KeyID {
    let request = HTTPTransport.Request(
      .post, "/coffer/v1/keys/\(id)/copy", json: KeyCopyRequest(name: name))
    let answer = try await send(request)
    // A missing key and a missing route look alike; fetching the key tells them apart.
    if answer.status == 404 || answer.status == 405 {
      let record = try await record(of: id, context: context)
      var attributes = record.attributes
      attributes.name = name
      return try await store(try await value(of: record), attributes, context: context)
    }
    try check(answer, "cannot copy key \(id)", id)
    return try document(KeyCopyReply.self, in: answer).id
  }

  public func delete(
    _ id: KeyID, force: Bool, context: RequestContext
  ) async throws(KeyManagerError) {
    let answer = try await send(.init(.delete, path(id) + (force ? "?force=true" : "")))
    // Barbican does not say what uses the key.
    if answer.status == 400, !force,
      let consumers = try? await record(of: id, context: context).consumers, !consumers.isEmpty
    {
      throw .inUse(id, by: consumers.map(\.consumer))
    }
    try check(answer, "cannot delete key \(id)", id)
  }

  @discardableResult
  public func addConsumer(
    _ consumer: KeyConsumer, to id: KeyID, context: RequestContext
  ) async throws(KeyManagerError) -> KeyRecord {
    let request = HTTPTransport.Request(
      .post, "\(path(id))/consumers", json: SecretConsumer(consumer))
    let answer = try await send(request)
    try check(answer, "cannot register a consumer of key \(id)", id)
    return try self.record(id, in: answer, context)
  }

  @discardableResult
  public func removeConsumer(
    _ consumer: KeyConsumer, from id: KeyID, context: RequestContext
  ) async throws(KeyManagerError) -> KeyRecord? {
    let request = HTTPTransport.Request(
      .delete, "\(path(id))/consumers", json: SecretConsumer(consumer))
    let answer = try await send(request)
    // A missing key and a missing consumer look alike; looking up the key tells them apart.
    if answer.status == 404 {
      _ = try await record(of: id, context: context)
      return nil
    }
    try check(answer, "cannot remove a consumer of key \(id)", id)
    return try self.record(id, in: answer, context)
  }

  public func list(
    _ query: KeyQuery, context: RequestContext
  ) async throws(KeyManagerError) -> KeyPage {
    let answer = try await send(.init(.get, "/v1/secrets?\(query.queryString)"))
    try check(answer, "cannot list keys")
    let list = try document(SecretList.self, in: answer)
    var records: [KeyRecord] = []
    for document in list.secrets {
      guard let record = document.record(project: project ?? context.project) else {
        throw strange("it lists a key without an ID")
      }
      records.append(record)
    }
    return KeyPage(records: records, total: list.total)
  }

  private func value(of record: KeyRecord) async throws(KeyManagerError) -> SecretBytes {
    let id = record.id
    guard record.hasValue else {
      throw KeyManagerError(.notFound, "key \(id) has no value yet")
    }
    let contentType = record.attributes.contentType ?? octets
    var request = HTTPTransport.Request(.get, "\(path(id))/payload")
    request.headers["Accept"] = contentType
    request.wantsSecret = true
    let answer = try await send(request)
    try check(answer, "cannot get key \(id)", id)
    guard answer.contentType == contentType.prefix(while: { $0 != ";" }).lowercased() else {
      throw strange("key \(id) came as '\(answer.contentType)', not '\(contentType)'")
    }
    do {
      return try answer.takeSecret()
    } catch {
      throw KeyManagerError(error)
    }
  }

  // MARK: Orders

  /// Waits until an order is done: at most a minute, as castellan does.
  private func outcome(
    ofOrder order: String, _ action: String
  ) async throws(KeyManagerError) -> KeyID {
    var waited = Duration.zero
    var pause = Duration.milliseconds(5)
    while true {
      let answer = try await send(.init(.get, order))
      try check(answer, action)
      let document = try document(OrderDocument.self, in: answer)
      switch document.status {
      case "ACTIVE":
        guard let id = document.secretRef.flatMap({ KeyID(secretRef: $0) }) else {
          throw strange("its finished order names no key")
        }
        return id
      case "PENDING" where waited < .seconds(60):
        try? await Task.sleep(for: pause)
        waited += pause
        pause = min(pause * 2, .seconds(1))
      case "PENDING":
        throw KeyManagerError(
          .unavailable,
          "\(action): the key manager at \(transport.endpoint) did not make it in time")
      default:
        let reason = document.errorReason ?? "no reason given"
        let refused = document.errorStatusCode?.hasPrefix("4") ?? false
        throw KeyManagerError(refused ? .invalidRequest : .unavailable, "\(action): \(reason)")
      }
    }
  }

  /// Removes an order; the key that it made stays. An order that remains does no harm.
  private func discard(_ order: String) async {
    _ = try? await send(.init(.delete, order)).status
  }

  // MARK: Requests and answers

  func send(
    _ request: consuming HTTPTransport.Request
  ) async throws(KeyManagerError) -> HTTPTransport.Response {
    request.headers.merge(headers) { own, _ in own }
    do {
      return try await transport.send(request)
    } catch {
      throw KeyManagerError(error)
    }
  }

  /// Throws unless the answer is a good one.
  ///
  /// - Parameter id: the key that the request is about.
  func check(
    _ answer: borrowing HTTPTransport.Response, _ action: String, _ id: KeyID? = nil
  ) throws(KeyManagerError) {
    if answer.isSuccess { return }
    if answer.status == 404, let id { throw .noSuchKey(id) }
    throw KeyManagerError(answer, action, endpoint: transport.endpoint)
  }

  func document<Document: Decodable>(
    _ type: Document.Type, in answer: borrowing HTTPTransport.Response
  ) throws(KeyManagerError) -> Document {
    do {
      return try answer.document(type)
    } catch {
      throw KeyManagerError(error)
    }
  }

  private func strange(_ reason: String) -> KeyManagerError {
    KeyManagerError(.strange(transport.endpoint, reason))
  }

  private func path(_ id: KeyID) -> String { "/v1/secrets/\(id)" }
}

private let octets = "application/octet-stream"
