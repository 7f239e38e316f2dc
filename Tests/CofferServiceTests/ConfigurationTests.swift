import FoundationEssentials
import Glibc
import KeyManager
import Testing

@testable import CofferService

@Suite struct ConfigurationTests {
  private let directory: TemporaryDirectory
  private var path: String { "\(directory.path)/cofferd.conf" }

  init() throws {
    directory = try TemporaryDirectory()
  }

  private func load(_ text: String) throws -> ServiceConfiguration {
    try Data(text.utf8).write(to: URL(filePath: path))
    chmod(path, 0o644)
    return try ServiceConfiguration.load(path)
  }

  private func failure(_ text: String) -> DaemonError? {
    do {
      let configuration = try load(text)
      _ = try ProjectDirectory(configuration, path: path)
      return nil
    } catch {
      return error as? DaemonError
    }
  }

  @Test func whatIsNotSaidIsTheDefault() throws {
    #expect(try load("{}") == ServiceConfiguration())
  }

  @Test func everythingIsRead() throws {
    let configuration = try load(
      #"""
      {"projects": [{"name": "web", "members": {"root": "admin", "61001": "reader"}}],
       "private_projects": false,
       "master_key": {"file": "/k", "passphrase_file": "/p", "renewal_interval": "30d"}}
      """#)
    #expect(configuration.projects.map(\.name) == ["web"])
    #expect(!configuration.privateProjects)
    #expect(configuration.masterKey.file == "/k")
    #expect(configuration.masterKey.passphraseFile == "/p")
    #expect(configuration.masterKey.renewalInterval == .seconds(30 * 86_400))
    let projects = try ProjectDirectory(configuration, path: path)
    #expect(projects.context(uid: 0, wish: nil)?.roles == [.admin])
    #expect(
      projects.context(uid: 61_001, wish: nil)
        == RequestContext(user: "uid-61001", project: "web", roles: [.reader]))
    #expect(projects.context(uid: 61_002, wish: "web") == nil)
  }

  @Test(arguments: [
    ("", "not well-formed JSON"), ("[]", "no JSON object"), ("{,}", "not well-formed JSON"),
    (#"{"project": []}"#, "'project': it is not known"),
    (#"{"projects": {}}"#, "'projects' is not of type"),
    (#"{"projects": [{"name": "a"}]}"#, "members' is missing"),
    (#"{"projects": [{"name": "a", "members": {}, "x": 1}]}"#, "x': it is not known"),
    (#"{"projects": [{"name": "a b", "members": {}}]}"#, "'a b' cannot be a project's name"),
    (#"{"projects": [{"name": "", "members": {}}]}"#, "cannot be a project's name"),
    (#"{"projects": [{"name": "uid-5", "members": {}}]}"#, "are the users' own"),
    (
      #"{"projects": [{"name": "a", "members": {}}, {"name": "a", "members": {}}]}"#,
      "two projects 'a'"
    ),
    (#"{"projects": [{"name": "a", "members": {"root": "owner"}}]}"#, "none of reader, creator"),
    (#"{"projects": [{"name": "a", "members": {"no-such-user": "admin"}}]}"#, "no user"),
    (#"{"projects": [{"name": "a", "members": {"4294967295": "admin"}}]}"#, "no user"),
    (
      #"{"projects": [{"name": "a", "members": {"root": "admin", "0": "reader"}}]}"#,
      "names user 0 twice"
    ),
    (#"{"private_projects": "yes"}"#, "'private_projects' is not of type"),
    (#"{"master_key": {"file": "k"}}"#, "'k' is no absolute path"),
    (#"{"master_key": {"credential": "a/b"}}"#, "no name of a credential"),
    (#"{"master_key": {"credential": "c", "file": "/k"}}"#, "it stands for itself"),
    (#"{"master_key": {"credential": "c", "renewal_interval": "1d"}}"#, "cannot be written"),
    (
      #"{"master_key": {"passphrase_file": "/p", "passphrase_credential": "c"}}"#,
      "there is a passphrase_file too"
    ),
    (#"{"master_key": {"renewal_interval": "0d"}}"#, "no time like"),
    (#"{"master_key": {"renewal_interval": "-1d"}}"#, "no time like"),
    (#"{"master_key": {"renewal_interval": "9223372036854775807d"}}"#, "no time like"),
    (#"{"master_key": {"renewal_interval": "5"}}"#, "no time like"),
  ])
  func whatIsWrongIsNamed(text: String, reason: String) {
    let error = failure(text)
    #expect(error?.code == .configuration)
    #expect(error?.message.contains(path) == true)
    #expect(error?.message.contains(reason) == true, "\(error?.message ?? "none")")
  }

  @Test func aFileThatOthersCanChangeIsRefused() throws {
    _ = try load("{}")
    chmod(path, 0o664)
    #expect(throws: DaemonError.self) { try ServiceConfiguration.load(path) }
    chmod(path, 0o644)
    chown(path, 61_001, 61_001)
    #expect(throws: DaemonError.self) { try ServiceConfiguration.load(path) }
    #expect(throws: DaemonError.self) { try ServiceConfiguration.load(directory.path) }
    #expect(throws: DaemonError.self) { try ServiceConfiguration.load("\(directory.path)/none") }
  }
}
