public import SecretMemory

/// A key with its value.
public struct Key: ~Copyable, Sendable {
  public let record: KeyRecord
  public let value: SecretBytes

  public init(record: KeyRecord, value: consuming SecretBytes) {
    self.record = record
    self.value = value
  }
}

/// All that is known of a key but its value.
public struct KeyRecord: Sendable, Equatable {
  public let id: KeyID
  public var attributes: KeyAttributes
  /// The project that owns it.
  public var project: String
  /// The user that created it.
  public var creator: String
  public var created: Timestamp
  public var updated: Timestamp
  /// False while an ID exists but its value has not been set.
  public var hasValue: Bool
  /// What uses it, oldest first.
  public var consumers: [RegisteredConsumer]

  public init(
    id: KeyID, attributes: KeyAttributes, project: String, creator: String, created: Timestamp,
    updated: Timestamp, hasValue: Bool, consumers: [RegisteredConsumer] = []
  ) {
    self.id = id
    self.attributes = attributes
    self.project = project
    self.creator = creator
    self.created = created
    self.updated = updated
    self.hasValue = hasValue
    self.consumers = consumers
  }
}

/// What a caller says about a key when storing or ordering it.
public struct KeyAttributes: Sendable, Equatable {
  public var name: String?
  public var type: SecretType
  /// For example `aes`.
  public var algorithm: String?
  /// In bits, 1 or more.
  public var bitLength: Int?
  /// For example `xts`.
  public var mode: String?
  /// When it stops being handed out.
  public var expiration: Timestamp?
  /// The media type of the value, for example `application/octet-stream`.
  public var contentType: String?

  public init(
    name: String? = nil, type: SecretType = .symmetric, algorithm: String? = nil,
    bitLength: Int? = nil, mode: String? = nil, expiration: Timestamp? = nil,
    contentType: String? = "application/octet-stream"
  ) {
    self.name = name
    self.type = type
    self.algorithm = algorithm
    self.bitLength = bitLength
    self.mode = mode
    self.expiration = expiration
    self.contentType = contentType
  }
}

/// Barbican's secret types.
public enum SecretType: String, Sendable, Codable, CaseIterable {
  case symmetric, passphrase, opaque, `private`, `public`, certificate
}

/// Which keys to list, in which order.
public struct KeyQuery: Sendable, Equatable {
  public enum Field: String, Sendable {
    case created, updated, name, algorithm, bitLength, mode, expiration, status
  }
  public struct Order: Sendable, Equatable {
    public var field: Field
    public var ascending: Bool
    public init(_ field: Field, ascending: Bool) {
      self.field = field
      self.ascending = ascending
    }
  }

  /// At most this many, 1 to 100.
  public var limit: Int
  /// How many to pass over, 0 or more.
  public var offset: Int
  public var name: String?
  public var type: SecretType?
  public var algorithm: String?
  public var bitLength: Int?
  public var mode: String?
  /// Barbican's default is by creation, oldest first.
  public var order: [Order]

  public init(
    limit: Int = 10, offset: Int = 0, name: String? = nil, type: SecretType? = nil,
    algorithm: String? = nil, bitLength: Int? = nil, mode: String? = nil,
    order: [Order] = [Order(.created, ascending: true)]
  ) {
    self.limit = limit
    self.offset = offset
    self.name = name
    self.type = type
    self.algorithm = algorithm
    self.bitLength = bitLength
    self.mode = mode
    self.order = order
  }
}

/// One page of a listing.
public struct KeyPage: Sendable, Equatable {
  public var records: [KeyRecord]
  /// How many keys the query matches in all.
  public var total: Int

  public init(records: [KeyRecord], total: Int) {
    self.records = records
    self.total = total
  }
}
