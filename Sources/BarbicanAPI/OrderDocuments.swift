public import KeyManager

/// The body of `POST /v1/orders`.
public struct OrderCreation: Sendable, Codable, Equatable {
  /// `key`: a random symmetric key.
  public var type: String
  public var meta: OrderMeta

  public init(type: String = "key", meta: OrderMeta) {
    self.type = type
    self.meta = meta
  }
}

/// What kind of key is ordered.
public struct OrderMeta: Sendable, Codable, Equatable {
  public var name: String?
  /// Required of a key order, for example `aes`.
  public var algorithm: String?
  /// In bits, a multiple of 8; required of a key order.
  public var bitLength: Int?
  public var mode: String?
  /// ISO 8601; UTC without a zone. See `Timestamp.init(iso8601:)`.
  public var expiration: String?
  public var payloadContentType: String?

  enum CodingKeys: String, CodingKey {
    case name, algorithm
    case bitLength = "bit_length"
    case mode, expiration
    case payloadContentType = "payload_content_type"
  }

  public init(
    name: String? = nil, algorithm: String?, bitLength: Int?, mode: String? = nil,
    expiration: String? = nil, payloadContentType: String? = nil
  ) {
    self.name = name
    self.algorithm = algorithm
    self.bitLength = bitLength
    self.mode = mode
    self.expiration = expiration
    self.payloadContentType = payloadContentType
  }
}

/// What `POST /v1/orders` answers.
public struct OrderReference: Sendable, Codable, Equatable {
  /// The order's URL; its last component is the ID.
  public var orderRef: String

  enum CodingKeys: String, CodingKey {
    case orderRef = "order_ref"
  }

  public init(orderRef: String) {
    self.orderRef = orderRef
  }
}

/// What `GET /v1/orders/{id}` answers.
///
/// Written as Barbican does: members without a value are left out, but `name` and `expiration` in
/// `meta` are null.
public struct OrderDocument: Sendable, Codable, Equatable {
  public var created: Timestamp
  public var updated: Timestamp
  /// `PENDING`, `ACTIVE` or `ERROR`.
  public var status: String
  public var type: String
  public var meta: OrderMeta
  public var orderRef: String
  public var creatorID: String?
  /// The key's URL, once the order is active.
  public var secretRef: String?
  /// An HTTP status, as text.
  public var errorStatusCode: String?
  public var errorReason: String?
  /// `Unknown`, as is the message, of an active order.
  public var subStatus: String?
  public var subStatusMessage: String?

  enum CodingKeys: String, CodingKey {
    case created, updated, status, type, meta
    case orderRef = "order_ref"
    case creatorID = "creator_id"
    case secretRef = "secret_ref"
    case errorStatusCode = "error_status_code"
    case errorReason = "error_reason"
    case subStatus = "sub_status"
    case subStatusMessage = "sub_status_message"
  }

  public init(
    created: Timestamp, updated: Timestamp, status: String, type: String = "key", meta: OrderMeta,
    orderRef: String, creatorID: String?, secretRef: String? = nil, errorStatusCode: String? = nil,
    errorReason: String? = nil, subStatus: String? = nil, subStatusMessage: String? = nil
  ) {
    self.created = created
    self.updated = updated
    self.status = status
    self.type = type
    self.meta = meta
    self.orderRef = orderRef
    self.creatorID = creatorID
    self.secretRef = secretRef
    self.errorStatusCode = errorStatusCode
    self.errorReason = errorReason
    self.subStatus = subStatus
    self.subStatusMessage = subStatusMessage
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    created = try container.decodeTimestamp(.created)
    updated = try container.decodeTimestamp(.updated)
    status = try container.decode(String.self, forKey: .status)
    type = try container.decode(String.self, forKey: .type)
    meta = try container.decode(OrderMeta.self, forKey: .meta)
    orderRef = try container.decode(String.self, forKey: .orderRef)
    creatorID = try container.decodeIfPresent(String.self, forKey: .creatorID)
    secretRef = try container.decodeIfPresent(String.self, forKey: .secretRef)
    errorStatusCode = try container.decodeIfPresent(String.self, forKey: .errorStatusCode)
    errorReason = try container.decodeIfPresent(String.self, forKey: .errorReason)
    subStatus = try container.decodeIfPresent(String.self, forKey: .subStatus)
    subStatusMessage = try container.decodeIfPresent(String.self, forKey: .subStatusMessage)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(created.description, forKey: .created)
    try container.encode(updated.description, forKey: .updated)
    try container.encode(status, forKey: .status)
    try container.encode(type, forKey: .type)
    var metaContainer = container.nestedContainer(
      keyedBy: OrderMeta.CodingKeys.self, forKey: .meta)
    try metaContainer.encode(meta.name, forKey: .name)
    try metaContainer.encodeIfPresent(meta.algorithm, forKey: .algorithm)
    try metaContainer.encodeIfPresent(meta.bitLength, forKey: .bitLength)
    try metaContainer.encodeIfPresent(meta.mode, forKey: .mode)
    try metaContainer.encode(meta.expiration, forKey: .expiration)
    try metaContainer.encodeIfPresent(meta.payloadContentType, forKey: .payloadContentType)
    try container.encode(orderRef, forKey: .orderRef)
    try container.encodeIfPresent(creatorID, forKey: .creatorID)
    try container.encodeIfPresent(secretRef, forKey: .secretRef)
    try container.encodeIfPresent(errorStatusCode, forKey: .errorStatusCode)
    try container.encodeIfPresent(errorReason, forKey: .errorReason)
    try container.encodeIfPresent(subStatus, forKey: .subStatus)
    try container.encodeIfPresent(subStatusMessage, forKey: .subStatusMessage)
  }
}
