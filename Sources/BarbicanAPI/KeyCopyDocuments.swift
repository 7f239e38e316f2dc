public import KeyManager

/// The body of `POST /coffer/v1/keys/{id}/copy`, Coffer's extension of Barbican.
public struct KeyCopyRequest: Sendable, Codable, Equatable {
  /// The name of the copy; none when nil.
  public var name: String?

  public init(name: String? = nil) {
    self.name = name
  }
}

/// What `POST /coffer/v1/keys/{id}/copy` answers, with status 201.
public struct KeyCopyReply: Sendable, Codable, Equatable {
  /// The new key.
  public var id: KeyID

  public init(id: KeyID) {
    self.id = id
  }
}
