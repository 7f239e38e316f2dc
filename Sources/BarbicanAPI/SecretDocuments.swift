public import KeyManager

/// The body of `POST /v1/secrets`.
///
/// Without a payload only the ID is allocated; the value follows as the raw body of
/// `PUT /v1/secrets/{id}` (Barbican answers a PUT of `/v1/secrets/{id}/payload` with 405).
public struct SecretCreation: Sendable, Codable, Equatable {
  public var name: String?
  /// Barbican takes `opaque` when it is absent.
  public var secretType: SecretType?
  public var algorithm: String?
  /// In bits, 1 or more.
  public var bitLength: Int?
  public var mode: String?
  /// ISO 8601, with or without a zone; UTC without one. See `Timestamp.init(iso8601:)`.
  public var expiration: String?
  /// The value as text: itself, or as `payloadContentEncoding` says.
  public var payload: String?
  public var payloadContentType: String?
  /// `base64`, or nil for a payload that is plain text.
  public var payloadContentEncoding: String?

  enum CodingKeys: String, CodingKey {
    case name
    case secretType = "secret_type"
    case algorithm
    case bitLength = "bit_length"
    case mode, expiration, payload
    case payloadContentType = "payload_content_type"
    case payloadContentEncoding = "payload_content_encoding"
  }

  public init(
    name: String? = nil, secretType: SecretType? = nil, algorithm: String? = nil,
    bitLength: Int? = nil, mode: String? = nil, expiration: String? = nil, payload: String? = nil,
    payloadContentType: String? = nil, payloadContentEncoding: String? = nil
  ) {
    self.name = name
    self.secretType = secretType
    self.algorithm = algorithm
    self.bitLength = bitLength
    self.mode = mode
    self.expiration = expiration
    self.payload = payload
    self.payloadContentType = payloadContentType
    self.payloadContentEncoding = payloadContentEncoding
  }
}

/// What `POST /v1/secrets` answers.
public struct SecretReference: Sendable, Codable, Equatable {
  /// The secret's URL; its last component is the ID.
  public var secretRef: String

  enum CodingKeys: String, CodingKey {
    case secretRef = "secret_ref"
  }

  public init(secretRef: String) {
    self.secretRef = secretRef
  }
}

/// What `GET /v1/secrets/{id}` answers, and an item of a list.
///
/// Written as Barbican does: members without a value are null, but `content_types` is left out while
/// there is no payload, and `consumers` below microversion 1.1.
public struct SecretDocument: Sendable, Codable, Equatable {
  public var created: Timestamp
  public var updated: Timestamp
  /// `ACTIVE`, or `PENDING` or `ERROR` while an order makes the value or failed to.
  public var status: String
  public var name: String?
  public var secretType: SecretType
  public var expiration: Timestamp?
  public var algorithm: String?
  /// In bits.
  public var bitLength: Int?
  public var mode: String?
  public var creatorID: String?
  /// The media types of the payload: `default` and no other. Nil without a payload.
  public var contentTypes: [String: String]?
  public var secretRef: String
  /// Nil below microversion 1.1, where the member is left out.
  public var consumers: [SecretConsumer]?

  enum CodingKeys: String, CodingKey {
    case created, updated, status, name
    case secretType = "secret_type"
    case expiration, algorithm
    case bitLength = "bit_length"
    case mode
    case creatorID = "creator_id"
    case contentTypes = "content_types"
    case secretRef = "secret_ref"
    case consumers
  }

  public init(
    created: Timestamp, updated: Timestamp, status: String = "ACTIVE", name: String?,
    secretType: SecretType, expiration: Timestamp?, algorithm: String?, bitLength: Int?,
    mode: String?, creatorID: String?, contentTypes: [String: String]?, secretRef: String,
    consumers: [SecretConsumer]? = nil
  ) {
    self.created = created
    self.updated = updated
    self.status = status
    self.name = name
    self.secretType = secretType
    self.expiration = expiration
    self.algorithm = algorithm
    self.bitLength = bitLength
    self.mode = mode
    self.creatorID = creatorID
    self.contentTypes = contentTypes
    self.secretRef = secretRef
    self.consumers = consumers
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    created = try container.decodeTimestamp(.created)
    updated = try container.decodeTimestamp(.updated)
    status = try container.decode(String.self, forKey: .status)
    name = try container.decodeIfPresent(String.self, forKey: .name)
    secretType = try container.decode(SecretType.self, forKey: .secretType)
    expiration = try container.decodeTimestampIfPresent(.expiration)
    algorithm = try container.decodeIfPresent(String.self, forKey: .algorithm)
    bitLength = try container.decodeIfPresent(Int.self, forKey: .bitLength)
    mode = try container.decodeIfPresent(String.self, forKey: .mode)
    creatorID = try container.decodeIfPresent(String.self, forKey: .creatorID)
    contentTypes = try container.decodeIfPresent([String: String].self, forKey: .contentTypes)
    secretRef = try container.decode(String.self, forKey: .secretRef)
    consumers = try container.decodeIfPresent([SecretConsumer].self, forKey: .consumers)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(created.description, forKey: .created)
    try container.encode(updated.description, forKey: .updated)
    try container.encode(status, forKey: .status)
    try container.encode(name, forKey: .name)
    try container.encode(secretType, forKey: .secretType)
    try container.encode(expiration?.description, forKey: .expiration)
    try container.encode(algorithm, forKey: .algorithm)
    try container.encode(bitLength, forKey: .bitLength)
    try container.encode(mode, forKey: .mode)
    try container.encode(creatorID, forKey: .creatorID)
    try container.encodeIfPresent(contentTypes, forKey: .contentTypes)
    try container.encode(secretRef, forKey: .secretRef)
    try container.encodeIfPresent(consumers, forKey: .consumers)
  }
}

/// What `GET /v1/secrets` answers.
public struct SecretList: Sendable, Codable, Equatable {
  public var secrets: [SecretDocument]
  /// How many secrets match in all.
  public var total: Int
  /// The URL of the next page; left out on the last.
  public var next: String?
  /// The URL of the previous page; left out on the first.
  public var previous: String?

  public init(
    secrets: [SecretDocument], total: Int, next: String? = nil, previous: String? = nil
  ) {
    self.secrets = secrets
    self.total = total
    self.next = next
    self.previous = previous
  }
}
