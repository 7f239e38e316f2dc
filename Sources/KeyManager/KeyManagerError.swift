/// Why a key manager did not do what it was asked.
public struct KeyManagerError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Code: String, Sendable {
    /// No such key for this caller.
    case notFound
    /// The caller's roles do not allow it.
    case notAuthorized
    /// The request makes no sense.
    case invalidRequest
    /// The key's state forbids it, for example a second value.
    case conflict
    /// The key has consumers, which would be lost with it.
    case inUse
    /// The value is larger than the key manager keeps (20 000 bytes).
    case payloadTooLarge
    /// Nobody answers, or not in time.
    case unavailable
    /// What is stored does not verify: the database or the master key is damaged or was changed.
    case damaged
    /// Anything else: a full disk, a bug.
    case internalFailure
  }

  public let code: Code
  /// A sentence for people: what, on what, why.
  public let message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { message }

  /// The one answer for a key that is not there or not the caller's.
  public static func noSuchKey(_ id: KeyID) -> KeyManagerError {
    KeyManagerError(.notFound, "no key \(id)")
  }

  /// The answer to deleting a key that is in use.
  public static func inUse(_ id: KeyID, by consumers: [KeyConsumer]) -> KeyManagerError {
    let named = consumers.prefix(3).map(\.description).joined(separator: ", ")
    let more = consumers.count > 3 ? " and \(consumers.count - 3) more" : ""
    return KeyManagerError(
      .inUse,
      "key \(id) is in use by \(named)\(more): without it they cannot be opened again; delete them "
        + "first, or force it")
  }
}
