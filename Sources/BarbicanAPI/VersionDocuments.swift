/// One version of the API, in the answers to `GET /` (status 300) and `GET /v1`.
///
/// Microversion 1.0 (also when none is asked for) has `media-types` and the status `stable`; from 1.1
/// there are `min_version` and `max_version` and the status is `CURRENT`.
public struct VersionDocument: Sendable, Codable, Equatable {
  public struct Link: Sendable, Codable, Equatable {
    public var rel: String
    public var href: String
    public var type: String?

    public init(rel: String, href: String, type: String? = nil) {
      self.rel = rel
      self.href = href
      self.type = type
    }
  }

  public struct MediaType: Sendable, Codable, Equatable {
    public var base: String
    public var type: String

    public init(base: String, type: String) {
      self.base = base
      self.type = type
    }
  }

  public var id: String
  public var status: String
  public var minVersion: String?
  public var maxVersion: String?
  public var links: [Link]
  public var mediaTypes: [MediaType]?

  enum CodingKeys: String, CodingKey {
    case id, status
    case minVersion = "min_version"
    case maxVersion = "max_version"
    case links
    case mediaTypes = "media-types"
  }

  public init(
    id: String, status: String, minVersion: String? = nil, maxVersion: String? = nil,
    links: [Link], mediaTypes: [MediaType]? = nil
  ) {
    self.id = id
    self.status = status
    self.minVersion = minVersion
    self.maxVersion = maxVersion
    self.links = links
    self.mediaTypes = mediaTypes
  }

  /// Barbican v1 as microversions 1.1 and 1.2 describe it.
  ///
  /// - Parameter base: the service's URL, without a slash at its end.
  public static func current(base: String) -> VersionDocument {
    VersionDocument(
      id: "v1", status: "CURRENT", minVersion: "1.0", maxVersion: "1.2", links: links(base))
  }

  /// Barbican v1 as microversion 1.0 describes it.
  ///
  /// - Parameter base: the service's URL, without a slash at its end.
  public static func stable(base: String) -> VersionDocument {
    let json = "application/json"
    let own = "application/vnd.openstack.key-manager-v1+json"
    return VersionDocument(
      id: "v1", status: "stable", links: links(base),
      mediaTypes: [MediaType(base: json, type: own)])
  }

  private static func links(_ base: String) -> [Link] {
    [
      Link(rel: "self", href: "\(base)/v1/"),
      Link(rel: "describedby", href: "https://docs.openstack.org/", type: "text/html"),
    ]
  }
}

/// What `GET /` answers from microversion 1.1.
public struct VersionsDocument: Sendable, Codable, Equatable {
  public var versions: [VersionDocument]

  public init(versions: [VersionDocument]) {
    self.versions = versions
  }
}

/// What `GET /` answers at microversion 1.0.
public struct StableVersionsDocument: Sendable, Codable, Equatable {
  public struct Values: Sendable, Codable, Equatable {
    public var values: [VersionDocument]
  }

  public var versions: Values

  public init(versions: [VersionDocument]) {
    self.versions = Values(values: versions)
  }
}

/// What `GET /v1` answers.
public struct SingleVersionDocument: Sendable, Codable, Equatable {
  public var version: VersionDocument

  public init(version: VersionDocument) {
    self.version = version
  }
}
