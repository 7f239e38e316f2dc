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

  /// Deletes the key for good.
  func delete(_ id: KeyID, context: RequestContext) async throws(KeyManagerError)

  /// The project's keys that have not expired.
  func list(_ query: KeyQuery, context: RequestContext) async throws(KeyManagerError) -> KeyPage
}
