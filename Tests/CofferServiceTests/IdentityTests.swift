import BarbicanAPI
import Testing

/// The caller is who the kernel says it is.
@Suite struct IdentityTests {
  static let alice: UInt32 = 61_001
  static let bob: UInt32 = 61_002
  static let json = ["Content-Type": "application/json"]
  static let consumer = #"{"service":"s","resource_type":"volume","resource_id":"1"}"#
  static let secret = #"{"payload":"alice's","payload_content_type":"text/plain"}"#

  private func makeKey(_ service: TestService, as uid: UInt32) async throws -> String {
    let answer = try await askAs(
      uid: uid, service.socket,
      text: requestText("POST", "/v1/secrets", Self.json, body: Self.secret))
    return try #require(answer.location)
  }

  @Test func aUserFindsItsOwnKeys() async throws {
    try await withService { service in
      let id = try await makeKey(service, as: Self.alice)
      let answer = try await askAs(
        uid: Self.alice, service.socket, text: requestText("GET", "/v1/secrets/\(id)"))
      #expect(try answer.json(SecretDocument.self).creatorID == "uid-61001")
      let list = try await askAs(
        uid: Self.bob, service.socket, text: requestText("GET", "/v1/secrets"))
      #expect(try list.json(SecretList.self).total == 0)
    }
  }

  /// Invariant: the same answer, byte for byte, for another's key and for one that does not exist.
  @Test func anothersKeyCannotBeToldFromAMissingOne() async throws {
    try await withService { service in
      let id = try await makeKey(service, as: Self.alice)
      let missing = SecretRoutesTests.missing
      func ask(_ method: String, _ path: String, _ body: String? = nil) async throws -> Answer {
        try await askAs(
          uid: Self.bob, service.socket,
          text: requestText(
            method, path,
            ["Content-Type": body?.hasPrefix("{") == true ? "application/json" : "text/plain"],
            body: body)
        ).comparable
      }
      for (method, suffix, body) in [
        ("GET", "", nil), ("GET", "/payload", nil), ("PUT", "", "x"), ("DELETE", "", nil),
        ("DELETE", "?force=true", nil),
        ("GET", "/metadata", nil), ("PUT", "/metadata", #"{"metadata":{}}"#),
        ("POST", "/metadata", #"{"key":"a","value":"b"}"#), ("GET", "/metadata/a", nil),
        ("PUT", "/metadata/a", #"{"key":"a","value":"b"}"#), ("DELETE", "/metadata/a", nil),
        ("GET", "/consumers", nil), ("POST", "/consumers", Self.consumer),
        ("DELETE", "/consumers", Self.consumer),
        ("GET", "/acl", nil), ("PUT", "/acl", #"{"read":{"users":["uid-61002"]}}"#),
        ("PATCH", "/acl", #"{"read":{"project-access":false}}"#), ("DELETE", "/acl", nil),
      ] as [(String, String, String?)] {
        let others = try await ask(method, "/v1/secrets/\(id)\(suffix)", body)
        #expect(others.status == 404)
        let none = try await ask(method, "/v1/secrets/\(missing)\(suffix)", body)
        #expect(others == none)
      }
      let copy = try await ask("POST", "/coffer/v1/keys/\(id)/copy", "{}")
      let copyOfMissing = try await ask("POST", "/coffer/v1/keys/\(missing)/copy", "{}")
      #expect(copy.status == 404)
      #expect(copy.text.replacing(id, with: missing) == copyOfMissing.text)
      let still = try await askAs(
        uid: Self.alice, service.socket, text: requestText("GET", "/v1/secrets/\(id)/payload"))
      #expect(still.text == "alice's")
    }
  }

  @Test func anOrderIsItsProjects() async throws {
    try await withService { service in
      let order = try await askAs(
        uid: Self.alice, service.socket,
        text: requestText("POST", "/v1/orders", Self.json, body: OrderRoutesTests.order))
      let id = try #require(order.location)
      for method in ["GET", "DELETE"] {
        let answer = try await askAs(
          uid: Self.bob, service.socket, text: requestText(method, "/v1/orders/\(id)"))
        #expect(answer.status == 404)
      }
      let list = try await askAs(
        uid: Self.bob, service.socket, text: requestText("GET", "/v1/orders"))
      #expect(list.text.contains(#""total":0"#))
      let own = try await askAs(
        uid: Self.alice, service.socket, text: requestText("GET", "/v1/orders/\(id)"))
      #expect(own.status == 200)
    }
  }

  /// What a user says of itself gives it nothing.
  @Test(arguments: ["X-Project-Id", "X-User-Id", "X-Roles", "X-Auth-Token"])
  func aHeaderGivesNothing(header: String) async throws {
    try await withService { service in
      let id = try await makeKey(service, as: Self.alice)
      let claim = [header: header == "X-User-Id" ? "uid-0" : "uid-61001"]
      let answer = try await askAs(
        uid: Self.bob, service.socket, text: requestText("GET", "/v1/secrets/\(id)", claim))
      #expect(answer.status == 404)
      let list = try await askAs(
        uid: Self.bob, service.socket, text: requestText("GET", "/v1/secrets", claim))
      #expect(try list.json(SecretList.self).total == 0)
      let made = try await askAs(
        uid: Self.bob, service.socket,
        text: requestText(
          "POST", "/v1/secrets", Self.json.merging(claim) { own, _ in own }, body: Self.secret))
      #expect(made.status == 201)
      let alices = try await askAs(
        uid: Self.alice, service.socket, text: requestText("GET", "/v1/secrets"))
      #expect(try alices.json(SecretList.self).total == 1)
    }
  }

  @Test func rootActsForAProject() async throws {
    try await withService { service in
      let id = try await makeKey(service, as: Self.alice)
      #expect(try await service.ask("GET", "/v1/secrets/\(id)").status == 404)
      let project = ["X-Project-Id": "uid-61001"]
      let answer = try await service.ask("GET", "/v1/secrets/\(id)/payload", project)
      #expect(answer.text == "alice's")
      let made = try await service.post("/v1/secrets", Self.secret, project)
      let alices = try await askAs(
        uid: Self.alice, service.socket,
        text: requestText("GET", "/v1/secrets/\(try #require(made.location))"))
      #expect(try alices.json(SecretDocument.self).creatorID == "uid-0")
      #expect(try await service.ask("DELETE", "/v1/secrets/\(id)", project).status == 204)
    }
  }

  @Test(arguments: ["a b", "\u{e9}", String(repeating: "p", count: 256)])
  func anOddProjectIsRefused(project: String) async throws {
    try await withService { service in
      let answer = try await service.ask("GET", "/v1/secrets", ["X-Project-Id": project])
      #expect(answer.status == 400)
    }
  }

  @Test func logsSayWhoAsked() async throws {
    try await withService { service in
      _ = try await askAs(
        uid: Self.alice, service.socket, text: requestText("GET", "/v1/secrets"))
      #expect(service.log.text.contains("61001"))
    }
  }
}
