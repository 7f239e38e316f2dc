/// Who may read a key besides those whom their role lets.
public struct KeyAccess: Sendable, Codable, Equatable {
  /// Whether the project's members may read the key; otherwise its creator, the project's admins and
  /// `users` alone.
  public var projectAccess: Bool
  /// Users, of any project, that may read the key. Sorted, each once.
  public private(set) var users: [String]
  public var created: Timestamp
  public var updated: Timestamp

  public init(projectAccess: Bool, users: [String], created: Timestamp, updated: Timestamp) {
    self.projectAccess = projectAccess
    self.users = Set(users).sorted()
    self.created = created
    self.updated = updated
  }
}
