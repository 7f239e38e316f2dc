public import KeyManager

/// What `GET /v1/secrets/{id}/acl` answers.
public struct AccessDocument: Sendable, Encodable, Equatable {
  /// Nil while the secret has no ACL; Barbican then shows the default.
  public var access: KeyAccess?

  enum CodingKeys: String, CodingKey {
    case read
  }

  private struct Read: Encodable {
    var access: KeyAccess?

    enum CodingKeys: String, CodingKey {
      case users, created, updated
      case projectAccess = "project-access"
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(access?.projectAccess ?? true, forKey: .projectAccess)
      guard let access else { return }
      try container.encode(access.users, forKey: .users)
      try container.encode(access.created.description, forKey: .created)
      try container.encode(access.updated.description, forKey: .updated)
    }
  }

  public init(_ access: KeyAccess?) {
    self.access = access
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(Read(access: access), forKey: .read)
  }
}

/// The body of `PUT` and `PATCH` of `/v1/secrets/{id}/acl`. Other members than these are refused.
public struct AccessChange: Sendable, Decodable, Equatable {
  /// Nil when it is absent or empty.
  public var read: Read?

  /// The ACL of reading.
  public struct Read: Sendable, Decodable, Equatable {
    public var users: [String]?
    public var projectAccess: Bool?

    public init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: AnyKey.self)
      try container.refuse(allBut: ["users", "project-access"])
      users = try container.decodeIfPresent([String].self, forKey: AnyKey("users"))
      projectAccess = try container.decodeIfPresent(Bool.self, forKey: AnyKey("project-access"))
    }
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: AnyKey.self)
    try container.refuse(allBut: ["read"])
    let read = try container.decodeIfPresent(Read.self, forKey: AnyKey("read"))
    self.read = read?.users == nil && read?.projectAccess == nil ? nil : read
  }
}

/// What `PUT` and `PATCH` of `/v1/secrets/{id}/acl` answer.
public struct AccessReference: Sendable, Codable, Equatable {
  /// The ACL's URL.
  public var aclRef: String

  enum CodingKeys: String, CodingKey {
    case aclRef = "acl_ref"
  }

  public init(aclRef: String) {
    self.aclRef = aclRef
  }
}

/// Any member of a JSON object.
private struct AnyKey: CodingKey {
  let stringValue: String
  var intValue: Int? { nil }

  init(_ name: String) { stringValue = name }
  init?(stringValue: String) { self.init(stringValue) }
  init?(intValue: Int) { nil }
}

extension KeyedDecodingContainer<AnyKey> {
  fileprivate func refuse(allBut known: [String]) throws {
    for key in allKeys where !known.contains(key.stringValue) {
      throw DecodingError.dataCorruptedError(
        forKey: key, in: self, debugDescription: "no such member is known")
    }
  }
}
