public import KeyManager

/// Where the master key is kept.
///
/// The calls may block. They throw `MasterKeyStoreError` when the store refuses, and `SystemError` when
/// the system does.
public protocol MasterKeyStore: Sendable, CustomStringConvertible {
  /// The master key, once it is sure that it is durable. Throws `EmptyStoreError` when none was saved.
  func load() throws -> MasterKey

  /// Replaces the master key, durably and atomically: after a crash the store holds either the one or
  /// the other, whole.
  func save(_ key: MasterKey) throws

  /// Removes what a save that was cut short may have left. Called at the start, while no save runs.
  func removeUnfinishedSave() throws

  /// When the master key was saved; nil when the store does not say.
  func saved() throws -> Timestamp?
}

/// No master key has been saved in this store.
public struct EmptyStoreError: Error, CustomStringConvertible {
  /// Which store.
  public let store: String

  /// - Parameter store: which store.
  public init(store: String) {
    self.store = store
  }

  public var description: String { "\(store) holds no master key" }
}

/// Why a store does not hand out or take a master key.
public enum MasterKeyStoreError: Error, CustomStringConvertible {
  /// Others may read or change the file; the text says why and what to do.
  case unsafe(String)
  /// The content is no master key; the text says what is wrong.
  case malformed(String)
  /// The passphrase is missing or is another one.
  case locked(String)
  /// The store cannot be written.
  case readOnly(String)
  /// There is a master key already.
  case occupied(String)

  public var description: String {
    switch self {
    case .unsafe(let text), .malformed(let text), .locked(let text), .readOnly(let text),
      .occupied(let text):
      text
    }
  }
}
