import BarbicanAPI
import FoundationEssentials
import Testing

@testable import CofferService

/// Projects with members and roles, as processes of real users meet them.
@Suite struct ProjectTests {
  private static let admin: UInt32 = 61_001
  private static let creator: UInt32 = 61_002
  private static let reader: UInt32 = 61_003
  private static let stranger: UInt32 = 61_004
  private static let json = ["Content-Type": "application/json"]
  private static let secret = #"{"payload":"ours","payload_content_type":"text/plain"}"#

  private static func projects(private isPrivate: Bool = true) throws -> ProjectDirectory {
    let text = """
      {"projects": [
        {"name": "web", "members": {"61001": "admin", "61002": "creator", "61003": "reader"}},
        {"name": "mail", "members": {"61002": "admin"}}],
       "private_projects": \(isPrivate)}
      """
    return try ProjectDirectory(
      JSONDecoder().decode(ServiceConfiguration.self, from: Data(text.utf8)), path: "test")
  }

  private func ask(
    _ service: TestService, _ uid: UInt32, _ method: String, _ path: String, project: String? = nil,
    body: String? = nil
  ) async throws -> Answer {
    var headers = body == nil ? [:] : Self.json
    headers["X-Project-Id"] = project
    return try await askAs(
      uid: uid, service.socket, text: requestText(method, path, headers, body: body))
  }

  private func makeKey(
    _ service: TestService, _ uid: UInt32, project: String? = nil
  ) async throws -> String {
    let answer = try await ask(
      service, uid, "POST", "/v1/secrets", project: project, body: Self.secret)
    #expect(answer.status == 201)
    return try #require(answer.location)
  }

  @Test func membersShareKeysByTheirRoles() async throws {
    try await withService(projects: Self.projects()) { service in
      let id = try await makeKey(service, Self.creator)
      let path = "/v1/secrets/\(id)"
      for uid in [Self.admin, Self.creator, Self.reader] {
        #expect(try await ask(service, uid, "GET", "\(path)/payload").text == "ours")
      }
      #expect(try await ask(service, Self.stranger, "GET", path).status == 404)
      // A reader reads, and nothing else.
      for (method, suffix, body) in [
        ("DELETE", path, nil), ("POST", "/v1/secrets", Self.secret),
        ("POST", "\(path)/metadata", #"{"key":"a","value":"b"}"#),
        ("POST", "\(path)/consumers", IdentityTests.consumer),
        ("PUT", "\(path)/acl", #"{"read":{"users":[]}}"#),
        ("POST", "/coffer/v1/keys/\(id)/copy", "{}"),
        ("POST", "/v1/orders", OrderRoutesTests.order),
        ("DELETE", "/v1/orders/\(id)", nil),
      ] as [(String, String, String?)] {
        let answer = try await ask(service, Self.reader, method, suffix, body: body)
        #expect(answer.status == 403, "\(method) \(suffix)")
      }
      // A creator deletes its own keys, an admin every member's.
      let admins = try await makeKey(service, Self.admin)
      #expect(
        try await ask(service, Self.creator, "DELETE", "/v1/secrets/\(admins)").status == 403)
      #expect(try await ask(service, Self.admin, "DELETE", path).status == 204)
    }
  }

  @Test func aMemberOfSeveralProjectsPicksOne() async throws {
    try await withService(projects: Self.projects()) { service in
      let webs = try await makeKey(service, Self.creator)
      let mails = try await makeKey(service, Self.creator, project: "mail")
      let own = try await makeKey(service, Self.creator, project: "uid-61002")
      for (project, id) in [("web", webs), ("mail", mails), ("uid-61002", own)] {
        let list = try await ask(
          service, Self.creator, "GET", "/v1/secrets", project: project
        ).json(SecretList.self)
        #expect(list.secrets.map(\.secretRef) == ["http://localhost/v1/secrets/\(id)"])
      }
      // Without a wish, and with one that is not its own, it is in its first project.
      for project in [nil, "uid-61001", "uid-0", "else"] {
        let answer = try await ask(
          service, Self.creator, "GET", "/v1/secrets/\(webs)", project: project)
        #expect(answer.status == 200)
      }
    }
  }

  @Test func namingAProjectMakesNobodyAMember() async throws {
    try await withService(projects: Self.projects()) { service in
      let webs = try await makeKey(service, Self.creator)
      let mails = try await makeKey(service, Self.creator, project: "mail")
      for uid in [Self.admin, Self.stranger] {
        let answer = try await ask(service, uid, "GET", "/v1/secrets/\(mails)", project: "mail")
        #expect(answer.status == 404)
      }
      let answer = try await ask(
        service, Self.stranger, "GET", "/v1/secrets/\(webs)", project: "web")
      #expect(answer.status == 404)
      let made = try await ask(
        service, Self.stranger, "POST", "/v1/secrets", project: "web", body: Self.secret)
      #expect(made.status == 201)
      let list = try await ask(service, Self.admin, "GET", "/v1/secrets").json(SecretList.self)
      #expect(list.total == 1)
    }
  }

  @Test func rootActsForAnyProject() async throws {
    try await withService(projects: Self.projects()) { service in
      let id = try await makeKey(service, Self.creator, project: "mail")
      let answer = try await service.ask(
        "GET", "/v1/secrets/\(id)/payload", ["X-Project-Id": "mail"])
      #expect(answer.text == "ours")
      #expect(try await service.ask("GET", "/v1/secrets/\(id)").status == 404)
    }
  }

  @Test func withoutPrivateProjectsAStrangerHasNone() async throws {
    try await withService(projects: Self.projects(private: false)) { service in
      for (method, path, body) in [
        ("GET", "/v1/secrets", nil), ("POST", "/v1/secrets", Self.secret),
        ("GET", "/v1/orders", nil), ("GET", "/coffer/v1/volumes", nil),
      ] as [(String, String, String?)] {
        let answer = try await ask(
          service, Self.stranger, method, path, project: "uid-61004", body: body)
        #expect(answer.status == 403)
        #expect(answer.reason == "not-authorized")
      }
      let id = try await makeKey(service, Self.admin, project: "uid-61001")
      #expect(try await ask(service, Self.reader, "GET", "/v1/secrets/\(id)").status == 200)
    }
  }
}
