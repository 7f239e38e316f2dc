public import KeyManager

/// Something that uses a secret: the body of `POST` and `DELETE` of `…/consumers`, and a member of a
/// secret's `consumers`.
public struct SecretConsumer: Sendable, Codable, Hashable {
  public var service: String
  public var resourceType: String
  public var resourceID: String

  enum CodingKeys: String, CodingKey {
    case service
    case resourceType = "resource_type"
    case resourceID = "resource_id"
  }

  public init(service: String, resourceType: String, resourceID: String) {
    self.service = service
    self.resourceType = resourceType
    self.resourceID = resourceID
  }

  /// A consumer as Barbican shows it.
  public init(_ consumer: KeyConsumer) {
    self.init(
      service: consumer.service, resourceType: consumer.resourceType,
      resourceID: consumer.resourceID)
  }

  /// The consumer that this describes.
  public var consumer: KeyConsumer {
    KeyConsumer(service: service, resourceType: resourceType, resourceID: resourceID)
  }
}

/// An item of `GET /v1/secrets/{id}/consumers`. Clients take its members as keyword arguments.
public struct ConsumerDocument: Sendable, Encodable, Equatable {
  public var consumer: RegisteredConsumer

  enum CodingKeys: String, CodingKey {
    case created, updated, status, service
    case resourceType = "resource_type"
    case resourceID = "resource_id"
  }

  public init(_ consumer: RegisteredConsumer) {
    self.consumer = consumer
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(consumer.created.description, forKey: .created)
    try container.encode(consumer.created.description, forKey: .updated)
    try container.encode("ACTIVE", forKey: .status)
    try container.encode(consumer.consumer.service, forKey: .service)
    try container.encode(consumer.consumer.resourceType, forKey: .resourceType)
    try container.encode(consumer.consumer.resourceID, forKey: .resourceID)
  }
}

/// What `GET /v1/secrets/{id}/consumers` answers.
public struct ConsumerList: Sendable, Encodable, Equatable {
  public var consumers: [ConsumerDocument]
  /// How many there are in all.
  public var total: Int
  /// The URL of the next page; left out on the last.
  public var next: String?
  /// The URL of the previous page; left out on the first.
  public var previous: String?

  public init(
    consumers: [ConsumerDocument], total: Int, next: String? = nil, previous: String? = nil
  ) {
    self.consumers = consumers
    self.total = total
    self.next = next
    self.previous = previous
  }
}
