import Glibc
import KeyManager

/// Which projects a local user may act for, and in which role.
struct ProjectDirectory: Sendable {
  private struct Membership {
    let project: String
    let role: Role
  }

  /// By user ID, in the configuration's order.
  private var memberships: [UInt32: [Membership]] = [:]
  private let hasPrivateProjects: Bool

  /// Every user has a project of its own, and no other.
  static let privateProjects = ProjectDirectory()

  private init() {
    hasPrivateProjects = true
  }

  /// - Parameter path: the configuration's, for errors.
  init(_ configuration: ServiceConfiguration, path: String) throws(DaemonError) {
    hasPrivateProjects = configuration.privateProjects
    var names: Set<String> = []
    for project in configuration.projects {
      let name = project.name
      guard Self.isProjectName(name), !name.hasPrefix("uid-") else {
        throw ServiceConfiguration.failure(
          path,
          "'\(name)' cannot be a project's name: it takes 1 to 255 printable ASCII characters without "
            + "spaces, and those that start with 'uid-' are the users' own")
      }
      guard names.insert(name).inserted else {
        throw ServiceConfiguration.failure(path, "it has two projects '\(name)'")
      }
      var seen: Set<UInt32> = []
      for (user, roleName) in project.members {
        guard let role = Role(rawValue: roleName) else {
          throw ServiceConfiguration.failure(
            path,
            "'\(roleName)', the role of '\(user)' in project '\(name)', is none of "
              + Role.allCases.map(\.rawValue).joined(separator: ", "))
        }
        guard let uid = Self.uid(of: user) else {
          throw ServiceConfiguration.failure(
            path, "there is no user '\(user)', whom project '\(name)' names")
        }
        guard seen.insert(uid).inserted else {
          throw ServiceConfiguration.failure(path, "project '\(name)' names user \(uid) twice")
        }
        memberships[uid, default: []].append(Membership(project: name, role: role))
      }
    }
  }

  /// For whom a user acts: the project that it wishes if it is a member of it, else its first one, else
  /// its own.
  ///
  /// OpenStack's clients send a project whoever they are, so one that is not the user's is passed over,
  /// not refused. Nil when the user has no project.
  func context(uid: UInt32, wish: String?) -> KeyContext? {
    let own = KeyContext.local(uid: uid)
    let memberships = memberships[uid] ?? []
    if let wish {
      if let member = memberships.first(where: { $0.project.utf8.elementsEqual(wish.utf8) }) {
        return KeyContext(user: own.user, project: member.project, roles: [member.role])
      }
      if hasPrivateProjects, wish == own.project { return own }
    }
    if let first = memberships.first {
      return KeyContext(user: own.user, project: first.project, roles: [first.role])
    }
    return hasPrivateProjects ? own : nil
  }

  static func isProjectName(_ name: String) -> Bool {
    (1...255).contains(name.utf8.count) && name.utf8.allSatisfy { (0x21...0x7E).contains($0) }
  }

  /// The user ID that digits are, or that the system's user database has for a name.
  private static func uid(of user: String) -> UInt32? {
    if user.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
      // The highest one stands for no user, setuid(2).
      return UInt32(user).flatMap { $0 == .max ? nil : $0 }
    }
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 64 << 10)
    guard getpwnam_r(user, &entry, &buffer, buffer.count, &found) == 0, found != nil else {
      return nil
    }
    return entry.pw_uid
  }
}
