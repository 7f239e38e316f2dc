import BarbicanAPI
import Testing

/// A secret's ACL: who else may read it.
@Suite struct AccessRoutesTests {
  private static let json = ["Content-Type": "application/json"]
  private static let secret = #"{"payload":"shared","payload_content_type":"text/plain"}"#
  private static let alice = IdentityTests.alice
  private static let bob = IdentityTests.bob

  private struct ACL: Decodable {
    struct Read: Decodable {
      let users: [String]?
      let created: String?
      let updated: String?
      let projectAccess: Bool
      enum CodingKeys: String, CodingKey {
        case users, created, updated
        case projectAccess = "project-access"
      }
    }
    let read: Read
  }

  private func makeKey(_ service: TestService) async throws -> String {
    let answer = try await askAs(
      uid: Self.alice, service.socket,
      text: requestText("POST", "/v1/secrets", Self.json, body: Self.secret))
    return try #require(answer.location)
  }

  private func ask(
    _ service: TestService, _ uid: UInt32, _ method: String, _ path: String, _ body: String? = nil
  ) async throws -> Answer {
    try await askAs(
      uid: uid, service.socket,
      text: requestText(method, path, body == nil ? [:] : Self.json, body: body))
  }

  @Test func aUserThatItNamesReadsTheSecretUntilItNoLongerDoes() async throws {
    try await withService { service in
      let id = try await makeKey(service)
      let path = "/v1/secrets/\(id)"
      let put = try await ask(
        service, Self.alice, "PUT", "\(path)/acl", #"{"read":{"users":["uid-61002"]}}"#)
      #expect(put.status == 200)
      #expect(put.text == #"{"acl_ref":"http://localhost\#(path)/acl"}"#)
      #expect(try await ask(service, Self.bob, "GET", "\(path)/payload").text == "shared")
      let shown = try await ask(service, Self.bob, "GET", path)
      #expect(try shown.json(SecretDocument.self).creatorID == "uid-61001")
      // It may read, and nothing else; a third user sees nothing.
      for (method, suffix, body) in [
        ("DELETE", "", nil), ("DELETE", "?force=true", nil), ("GET", "/acl", nil),
        ("PUT", "/acl", #"{"read":{"users":[]}}"#), ("DELETE", "/acl", nil),
        ("GET", "/metadata", nil), ("POST", "/metadata", #"{"key":"a","value":"b"}"#),
      ] as [(String, String, String?)] {
        #expect(try await ask(service, Self.bob, method, path + suffix, body).status == 404)
      }
      #expect(try await ask(service, 61_003, "GET", "\(path)/payload").status == 404)
      let list = try await ask(service, Self.bob, "GET", "/v1/secrets")
      #expect(try list.json(SecretList.self).total == 0)

      #expect(try await ask(service, Self.alice, "DELETE", "\(path)/acl").status == 200)
      #expect(try await ask(service, Self.bob, "GET", "\(path)/payload").status == 404)
    }
  }

  @Test func putReplacesAndPatchChanges() async throws {
    try await withService { service in
      let path = try await "/v1/secrets/\(service.makeKey())/acl"
      #expect(try await service.ask("GET", path).text == #"{"read":{"project-access":true}}"#)
      func change(_ method: String, _ body: String) async throws -> ACL.Read {
        #expect(try await service.ask(method, path, Self.json, body: body).status == 200)
        return try await service.ask("GET", path).json(ACL.self).read
      }
      let first = try await change("PUT", #"{"read":{"users":["b","a","b"]}}"#)
      #expect(first.users == ["a", "b"])
      #expect(first.projectAccess)
      let second = try await change("PATCH", #"{"read":{"project-access":false}}"#)
      #expect(second.users == ["a", "b"])
      #expect(!second.projectAccess)
      #expect(second.created == first.created)
      let third = try await change("PUT", #"{"read":{"users":["c"]}}"#)
      #expect(third.users == ["c"])
      #expect(third.projectAccess)
      let none = try await change("PUT", "{}")
      #expect(none.users == nil)
      #expect(none.created == nil)
    }
  }

  @Test(arguments: [
    #"{"write":{"users":[]}}"#, #"{"read":{"user":[]}}"#, #"{"read":{"users":"bob"}}"#,
    #"{"read":{"users":[""]}}"#, #"{"read":{"project-access":"no"}}"#, "[]", "",
  ])
  func aMalformedACLIsRefused(body: String) async throws {
    try await withService { service in
      let path = try await "/v1/secrets/\(service.makeKey())/acl"
      for method in ["PUT", "PATCH"] {
        let answer = try await service.ask(method, path, Self.json, body: body)
        #expect(answer.status == 400)
      }
      #expect(try await service.ask("GET", path).text == #"{"read":{"project-access":true}}"#)
    }
  }
}
