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
}
