import Glibc
import HostSystem
import KeyManager
import KeyStore
import SecretMemory

/// A key manager whose operations are noted: those that hand out, make, change or delete a key, also when
/// they fail. A key is handed out only once that is durable.
struct AuditedKeys: AnnotatedKeyManager {
  let keys: any AnnotatedKeyManager
  let log: AuditLog

  func createKey(
    _ attributes: KeyAttributes, context: KeyContext
  ) async throws(KeyManagerError) -> KeyID {
    do throws(KeyManagerError) {
      let id = try await keys.createKey(attributes, context: context)
      try await note("create", id, context)
      return id
    } catch {
      throw await noted(error, "create", nil, context)
    }
  }

  func store(
    _ value: consuming SecretBytes?, _ attributes: KeyAttributes, context: KeyContext
  ) async throws(KeyManagerError) -> KeyID {
    do throws(KeyManagerError) {
      let id = try await keys.store(value, attributes, context: context)
      try await note("store", id, context)
      return id
    } catch {
      throw await noted(error, "store", nil, context)
    }
  }

  func setValue(
    of id: KeyID, to value: consuming SecretBytes, contentType: String?, context: KeyContext
  ) async throws(KeyManagerError) {
    do throws(KeyManagerError) {
      try await keys.setValue(of: id, to: value, contentType: contentType, context: context)
    } catch {
      throw await noted(error, "set-value", id, context)
    }
    try await note("set-value", id, context)
  }

  func get(_ id: KeyID, context: KeyContext) async throws(KeyManagerError) -> Key {
    do throws(KeyManagerError) {
      let key = try await keys.get(id, context: context)
      try await note("get", id, context)
      return key
    } catch {
      throw await noted(error, "get", id, context)
    }
  }

  func record(
    of id: KeyID, context: KeyContext
  ) async throws(KeyManagerError) -> KeyRecord {
    try await keys.record(of: id, context: context)
  }

  func copy(
    _ id: KeyID, name: String?, context: KeyContext
  ) async throws(KeyManagerError) -> KeyID {
    let copy: KeyID
    do throws(KeyManagerError) {
      copy = try await keys.copy(id, name: name, context: context)
    } catch {
      throw await noted(error, "copy", id, context)
    }
    try await note("copy", id, context)
    try await note("create", copy, context)
    return copy
  }

  func delete(_ id: KeyID, force: Bool, context: KeyContext) async throws(KeyManagerError) {
    try await noting("delete", id, context) { () throws(KeyManagerError) in
      try await keys.delete(id, force: force, context: context)
    }
  }

  func list(_ query: KeyQuery, context: KeyContext) async throws(KeyManagerError) -> KeyPage {
    try await keys.list(query, context: context)
  }

  func addConsumer(
    _ consumer: KeyConsumer, to id: KeyID, context: KeyContext
  ) async throws(KeyManagerError) -> KeyRecord {
    try await noting("add-consumer", id, context) { () throws(KeyManagerError) in
      try await keys.addConsumer(consumer, to: id, context: context)
    }
  }

  func removeConsumer(
    _ consumer: KeyConsumer, from id: KeyID, context: KeyContext
  ) async throws(KeyManagerError) -> KeyRecord? {
    try await noting("remove-consumer", id, context) { () throws(KeyManagerError) in
      try await keys.removeConsumer(consumer, from: id, context: context)
    }
  }

  func metadata(
    of id: KeyID, context: KeyContext
  ) async throws(KeyManagerError) -> [String: String] {
    try await keys.metadata(of: id, context: context)
  }

  func changeMetadata<Outcome: Sendable>(
    of id: KeyID, context: KeyContext,
    _ change: @escaping @Sendable (inout [String: String]) -> Outcome
  ) async throws(KeyManagerError) -> Outcome {
    try await noting("change-metadata", id, context) { () throws(KeyManagerError) in
      try await keys.changeMetadata(of: id, context: context, change)
    }
  }

  func access(of id: KeyID, context: KeyContext) async throws(KeyManagerError) -> KeyAccess? {
    try await keys.access(of: id, context: context)
  }

  func changeAccess(
    of id: KeyID, context: KeyContext, _ change: @escaping @Sendable (inout KeyAccess?) -> Void
  ) async throws(KeyManagerError) {
    try await noting("change-access", id, context) { () throws(KeyManagerError) in
      try await keys.changeAccess(of: id, context: context, change)
    }
  }

  private func noting<Result: Sendable>(
    _ operation: String, _ id: KeyID, _ context: KeyContext,
    _ body: () async throws(KeyManagerError) -> Result
  ) async throws(KeyManagerError) -> Result {
    let result: Result
    do throws(KeyManagerError) {
      result = try await body()
    } catch {
      throw await noted(error, operation, id, context)
    }
    try await note(operation, id, context)
    return result
  }

  private func note(
    _ operation: String, _ id: KeyID?, _ context: KeyContext, outcome: String = "ok"
  ) async throws(KeyManagerError) {
    // Without a peer it is the service itself, which tidies up after a crash.
    let peer = Peer.credentials ?? PeerCredentials(pid: getpid(), uid: geteuid(), gid: getegid())
    try await log.append(
      AuditEvent(
        time: "\(Timestamp.now())Z", uid: peer.uid, pid: peer.pid,
        process: Self.processName(peer.pid), user: context.user, project: context.project,
        operation: operation, keyID: id?.description, outcome: outcome))
  }

  /// The error, once it is noted; it says all that is to be said when that fails.
  private func noted(
    _ error: KeyManagerError, _ operation: String, _ id: KeyID?, _ context: KeyContext
  ) async -> KeyManagerError {
    try? await note(operation, id, context, outcome: error.code.rawValue)
    return error
  }

  /// What the process was started as; a program that starts itself anew is `exe` to the kernel.
  private static func processName(_ pid: Int32) -> String? {
    guard let file = try? Descriptor.open("/proc/\(pid)/cmdline", O_RDONLY),
      let bytes = try? file.readAll(limit: 4 << 20),
      let name = bytes.prefix(while: { $0 != 0 }).split(separator: UInt8(ascii: "/")).last
    else { return nil }
    return String(decoding: name.prefix(64), as: UTF8.self)
  }
}
