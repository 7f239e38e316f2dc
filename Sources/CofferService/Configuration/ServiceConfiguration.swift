import FoundationEssentials
import Glibc
import HostSystem

/// What the administrator says of a service: a JSON object (RFC 8259). Members that are not known are
/// refused, so that a misspelt one is noticed.
///
///     {
///       "projects": [
///         {"name": "web", "members": {"alice": "admin", "bob": "reader", "1007": "creator"}}
///       ],
///       "private_projects": true,
///       "master_key": {"passphrase_file": "/etc/coffer/passphrase", "renewal_interval": "30d"}
///     }
struct ServiceConfiguration: Decodable, Sendable, Equatable {
  /// Where the machine's service looks when it is told nothing.
  static let defaultPath = "/etc/coffer/cofferd.conf"
  /// In bytes.
  private static let limit = 1 << 20

  /// A project and its members.
  struct Project: Decodable, Sendable, Equatable {
    var name: String
    /// Roles by user: a name, or digits for a user ID.
    var members: [String: String]

    init(from decoder: any Decoder) throws {
      let container = try decoder.strictContainer(["name", "members"])
      name = try container.decode(String.self, forKey: "name")
      members = try container.decode([String: String].self, forKey: "members")
    }
  }

  var projects: [Project] = []
  /// Whether each user also has a project of its own.
  var privateProjects = true
  var masterKey = MasterKeyConfiguration()

  init() {}

  init(from decoder: any Decoder) throws {
    let container = try decoder.strictContainer(["projects", "private_projects", "master_key"])
    projects = try container.decodeIfPresent([Project].self, forKey: "projects") ?? []
    privateProjects = try container.decodeIfPresent(Bool.self, forKey: "private_projects") ?? true
    masterKey =
      try container.decodeIfPresent(MasterKeyConfiguration.self, forKey: "master_key")
      ?? MasterKeyConfiguration()
  }

  /// Reads the file at `path`, which nobody but root and this process's user may be able to change.
  static func load(_ path: String) throws(DaemonError) -> ServiceConfiguration {
    let bytes: [UInt8]
    do {
      let file = try Descriptor.open(path, O_RDONLY | O_NONBLOCK)
      let status = try file.status()
      guard status.st_mode & S_IFMT == S_IFREG else {
        throw failure(path, "it is not a regular file")
      }
      guard status.st_uid == 0 || status.st_uid == geteuid() else {
        throw failure(
          path,
          "it belongs to user \(status.st_uid), who could change it: correct its owner (chown)")
      }
      guard status.st_mode & 0o022 == 0 else {
        throw failure(path, "others may write to it: correct its mode (chmod go-w)")
      }
      bytes = try file.readAll(limit: limit)
    } catch let error as DaemonError {
      throw error
    } catch {
      throw failure(path, "\(error)")
    }
    do {
      return try JSONDecoder().decode(ServiceConfiguration.self, from: Data(bytes))
    } catch let error as DecodingError {
      throw failure(path, error.configurationSentence)
    } catch {
      throw failure(path, "\(error)")
    }
  }

  static func failure(_ path: String, _ reason: String) -> DaemonError {
    DaemonError(.configuration, "cannot use the configuration \(path): \(reason)")
  }
}

extension DecodingError {
  /// What is wrong, and where. A configuration holds no secrets.
  fileprivate var configurationSentence: String {
    func name(_ path: [any CodingKey]) -> String {
      path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
    }
    switch self {
    case .keyNotFound(let key, let context):
      return "the member '\(name(context.codingPath + [key]))' is missing"
    case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
      return context.codingPath.isEmpty
        ? "it is no JSON object" : "the member '\(name(context.codingPath))' is not of type \(type)"
    case .dataCorrupted(let context) where !context.codingPath.isEmpty:
      return "the member '\(name(context.codingPath))': \(context.debugDescription)"
    default:
      return "it is not well-formed JSON"
    }
  }
}
