/// Who asks. Every call of a key manager takes one.
///
/// The edge fills it from what it can prove (a socket's peer credentials, a Keystone token), never from
/// what the caller says of itself.
public struct RequestContext: Sendable, Hashable {
  /// The user, `uid-1000` for a local one.
  public let user: String
  /// What owns keys, volumes and snapshots. Without a configuration each user has a project of the
  /// same name.
  public let project: String
  public let roles: Set<Role>

  public init(user: String, project: String, roles: Set<Role>) {
    self.user = user
    self.project = project
    self.roles = roles
  }

  /// The context of a local user in a private project, with all rights in it.
  public static func local(uid: UInt32) -> RequestContext {
    RequestContext(user: "uid-\(uid)", project: "uid-\(uid)", roles: [.reader, .creator, .admin])
  }
}

extension RequestContext {
  /// Whether the caller has `role` or one that includes it: an admin creates, a creator reads.
  public func may(actAs role: Role) -> Bool {
    roles.contains { $0.rank >= role.rank }
  }
}

/// What a user may do within a project. Each role includes the ones before it.
public enum Role: String, Sendable, Hashable, CaseIterable {
  /// May list keys and read them.
  case reader
  /// May also create keys and delete those it created.
  case creator
  /// May also delete any key of the project.
  case admin

  fileprivate var rank: Int {
    switch self {
    case .reader: 0
    case .creator: 1
    case .admin: 2
    }
  }
}
