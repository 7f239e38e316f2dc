public import SecretMemory

/// Keeps keys for projects and hands them out by ID. After OpenStack's key manager API.
///
/// A key of another project and a key that does not exist are the same to a caller: `notFound`.
public protocol KeyManager: Sendable {
  /// Makes a random key of `attributes.algorithm` (default `aes`) and `attributes.bitLength` (default
  /// 256); `invalidRequest` for a pair that makes no sense.
  func createKey(
    _ attributes: KeyAttributes, context: RequestContext
  ) async throws(KeyManagerError) -> KeyID

  /// Keeps `value` under a new ID; without a value only the ID is allocated.
  func store(
    _ value: consuming SecretBytes?, _ attributes: KeyAttributes, context: RequestContext
  ) async throws(KeyManagerError) -> KeyID

  /// Gives a key that has no value its value; `conflict` if it has one.
  func setValue(
    of id: KeyID, to value: consuming SecretBytes, contentType: String?, context: RequestContext
  ) async throws(KeyManagerError)

  /// The key with its value; `notFound` also when it has no value or has expired.
  func get(_ id: KeyID, context: RequestContext) async throws(KeyManagerError) -> Key

  /// All that is known of the key but its value; `notFound` also when it has expired.
  func record(of id: KeyID, context: RequestContext) async throws(KeyManagerError) -> KeyRecord

  /// A new ID with the same value and attributes, named `name`; in one project. The value does not
  /// leave the key manager where that can be had.
  func copy(
    _ id: KeyID, name: String?, context: RequestContext
  ) async throws(KeyManagerError) -> KeyID

  /// Deletes the key for good; `inUse`, which names the consumers, if it has some and `force` is false.
  func delete(_ id: KeyID, force: Bool, context: RequestContext) async throws(KeyManagerError)

  /// Notes that something uses the key; a second time changes nothing. Returns what is known of the key.
  @discardableResult
  func addConsumer(
    _ consumer: KeyConsumer, to id: KeyID, context: RequestContext
  ) async throws(KeyManagerError) -> KeyRecord

  /// Notes that it no longer does; nil when it did not. Returns what is known of the key.
  @discardableResult
  func removeConsumer(
    _ consumer: KeyConsumer, from id: KeyID, context: RequestContext
  ) async throws(KeyManagerError) -> KeyRecord?

  /// The project's keys that have not expired.
  func list(_ query: KeyQuery, context: RequestContext) async throws(KeyManagerError) -> KeyPage
}

extension KeyManager {
  /// Deletes the key for good, unless it is in use.
  public func delete(_ id: KeyID, context: RequestContext) async throws(KeyManagerError) {
    try await delete(id, force: false, context: context)
  }
}
