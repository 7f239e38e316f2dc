/// The user's own metadata of a secret: the body of `PUT /v1/secrets/{id}/metadata`, and what `GET` of
/// it answers.
public struct MetadataDocument: Sendable, Codable, Equatable {
  public var metadata: [String: String]

  public init(metadata: [String: String]) {
    self.metadata = metadata
  }
}

/// One item of a secret's metadata: the body of `POST …/metadata` and `PUT …/metadata/{key}`.
public struct MetadatumDocument: Sendable, Codable, Equatable {
  public var key: String
  public var value: String

  public init(key: String, value: String) {
    self.key = key
    self.value = value
  }
}

/// What `PUT /v1/secrets/{id}/metadata` answers.
public struct MetadataReference: Sendable, Codable, Equatable {
  /// The metadata's URL.
  public var metadataRef: String

  enum CodingKeys: String, CodingKey {
    case metadataRef = "metadata_ref"
  }

  public init(metadataRef: String) {
    self.metadataRef = metadataRef
  }
}
