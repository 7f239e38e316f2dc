/// Something that uses a key, such as a volume. A key with consumers is not deleted without force.
public struct KeyConsumer: Sendable, Codable, Hashable {
  /// The service that registered it, for example `coffer` or `cinder`.
  public var service: String
  /// What kind of thing it is, for example `volume`.
  public var resourceType: String
  /// Which one, in the service's own words.
  public var resourceID: String

  /// Each of 1 to 255 characters.
  public init(service: String, resourceType: String, resourceID: String) {
    self.service = service
    self.resourceType = resourceType
    self.resourceID = resourceID
  }

  /// A volume of Coffer's.
  public static func volume(_ id: String) -> KeyConsumer {
    KeyConsumer(service: cofferService, resourceType: "volume", resourceID: id)
  }

  /// Whether it is one of Coffer's own.
  public var isCoffers: Bool { service == Self.cofferService }

  private static let cofferService = "coffer"
}

extension KeyConsumer: CustomStringConvertible {
  /// For people: `volume 6f0c… (coffer)`.
  public var description: String { "\(resourceType) \(resourceID) (\(service))" }
}

/// A consumer as the key manager keeps it.
public struct RegisteredConsumer: Sendable, Codable, Hashable {
  public var consumer: KeyConsumer
  public var created: Timestamp

  public init(_ consumer: KeyConsumer, created: Timestamp) {
    self.consumer = consumer
    self.created = created
  }
}
