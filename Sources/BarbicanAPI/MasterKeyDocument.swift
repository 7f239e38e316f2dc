/// What `GET /coffer/v1/master-key` answers: nothing of its value.
public struct MasterKeyDocument: Sendable, Codable, Equatable {
  /// The master key's ID; a renewed one has another.
  public var id: String
  /// Where it is kept.
  public var store: String
  /// Since when it is in force, ISO 8601 in UTC; nil when its store does not say.
  public var savedAt: String?
  /// How many projects' keys it wraps.
  public var projects: Int
  /// When the service renews it by itself, ISO 8601 in UTC; nil when it does not.
  public var renewalAt: String?

  enum CodingKeys: String, CodingKey {
    case id, store, projects
    case savedAt = "saved_at"
    case renewalAt = "renewal_at"
  }

  public init(
    id: String, store: String, savedAt: String?, projects: Int, renewalAt: String? = nil
  ) {
    self.id = id
    self.store = store
    self.savedAt = savedAt
    self.projects = projects
    self.renewalAt = renewalAt
  }
}
