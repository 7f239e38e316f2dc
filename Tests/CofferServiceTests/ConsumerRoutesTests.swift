import BarbicanAPI
import Testing

/// What uses a secret, and how that keeps it from being deleted.
@Suite struct ConsumerRoutesTests {
  private static let json = ["Content-Type": "application/json"]
  private static let guarded = ["OpenStack-API-Version": "key-manager 1.2"]

  private static func consumer(_ id: String, service: String = "cinder") -> String {
    #"{"service":"\#(service)","resource_type":"volume","resource_id":"\#(id)"}"#
  }

  /// What python-barbicanclient makes of an item, with these members as keyword arguments.
  private struct List: Decodable {
    struct Item: Decodable {
      let created, updated, status, service: String
      // swift-format-ignore: AlwaysUseLowerCamelCase
      let resource_type, resource_id: String
    }
    let consumers: [Item]
    let total: Int
    let next: String?
    let previous: String?
  }

  @Test func registeringIsIdempotentAndShowsTheSecret() async throws {
    try await withService { service in
      let id = try await service.makeKey()
      for _ in 0..<2 {
        let answer = try await service.post("/v1/secrets/\(id)/consumers", Self.consumer("a"))
        #expect(answer.status == 200)
        #expect(answer.headers["location"] == "http://localhost/v1/secrets/\(id)/consumers")
        let secret = try answer.json(SecretDocument.self)
        #expect(secret.secretRef == "http://localhost/v1/secrets/\(id)")
        #expect(
          secret.consumers
            == [SecretConsumer(service: "cinder", resourceType: "volume", resourceID: "a")])
      }
      let old = try await service.ask("GET", "/v1/secrets/\(id)")
      #expect(!old.text.contains("consumers"))
      let new = try await service.ask(
        "GET", "/v1/secrets/\(id)", ["OpenStack-API-Version": "key-manager 1.1"])
      #expect(try new.json(SecretDocument.self).consumers?.count == 1)
    }
  }

  @Test func removingWorksOnce() async throws {
    try await withService { service in
      let id = try await service.makeKey()
      let path = "/v1/secrets/\(id)/consumers"
      _ = try await service.post(path, Self.consumer("a"))
      _ = try await service.post(path, Self.consumer("b"))
      let removed = try await service.ask("DELETE", path, Self.json, body: Self.consumer("a"))
      #expect(removed.status == 200)
      #expect(try removed.json(SecretDocument.self).consumers?.map(\.resourceID) == ["b"])
      let again = try await service.ask("DELETE", path, Self.json, body: Self.consumer("a"))
      #expect(again.status == 404)
      #expect(again.explanation == "Consumer not found.")
    }
  }

  @Test func theListHasPages() async throws {
    try await withService { service in
      let id = try await service.makeKey()
      let path = "/v1/secrets/\(id)/consumers"
      let empty = try await service.ask("GET", path)
      #expect(empty.text == #"{"consumers":[],"total":0}"#)
      for number in 0..<12 { _ = try await service.post(path, Self.consumer("\(number)")) }
      let first = try await service.ask("GET", path).json(List.self)
      #expect(first.consumers.map(\.resource_id) == (0..<10).map(String.init))
      #expect(first.total == 12)
      #expect(first.previous == nil)
      #expect(first.next == "http://localhost\(path)?limit=10&offset=10")
      let second = try await service.ask("GET", "\(path)?limit=10&offset=10").json(List.self)
      #expect(second.consumers.map(\.resource_id) == ["10", "11"])
      #expect(second.next == nil)
    }
  }

  @Test func aSecretInUseIsNotDeletedWithoutForce() async throws {
    try await withService { service in
      let id = try await service.makeKey()
      _ = try await service.post("/v1/secrets/\(id)/consumers", Self.consumer("a"))
      for query in ["", "?force=false", "?force=0"] {
        let refused = try await service.ask("DELETE", "/v1/secrets/\(id)\(query)", Self.guarded)
        #expect(refused.status == 400)
        #expect(
          refused.explanation
            == "Secret deletion issue seen - Secret cannot be deleted as it has consumers..")
        #expect(refused.text.contains("volume a (cinder)"))
      }
      let odd = try await service.ask("DELETE", "/v1/secrets/\(id)?force=perhaps", Self.guarded)
      #expect(odd.status == 400)
      let forced = try await service.ask("DELETE", "/v1/secrets/\(id)?force=true", Self.guarded)
      #expect(forced.status == 204)
    }
  }

  /// Below 1.2 Barbican deletes such a secret; Coffer too, unless it is a volume's.
  @Test(arguments: ["", "key-manager 1.0", "key-manager 1.1"])
  func oldClientsDeleteWhatIsInUseButNoVolumesKey(version: String) async throws {
    try await withService { service in
      let headers = version.isEmpty ? [:] : ["OpenStack-API-Version": version]
      let cinders = try await service.makeKey()
      _ = try await service.post("/v1/secrets/\(cinders)/consumers", Self.consumer("a"))
      #expect(try await service.ask("DELETE", "/v1/secrets/\(cinders)", headers).status == 204)
      let own = try await service.makeKey()
      _ = try await service.post(
        "/v1/secrets/\(own)/consumers", Self.consumer("v", service: "coffer"))
      let refused = try await service.ask("DELETE", "/v1/secrets/\(own)", headers)
      #expect(refused.status == 400)
      #expect(refused.text.contains("volume v (coffer)"))
      #expect(
        try await service.ask("DELETE", "/v1/secrets/\(own)?force=true", headers).status == 204)
    }
  }

  @Test(arguments: [
    "{}", #"{"service":"s","resource_type":"volume"}"#,
    #"{"service":"","resource_type":"volume","resource_id":"1"}"#,
    #"{"service":"s","resource_type":"volume","resource_id":7}"#,
    #"{"service":"\#(String(repeating: "s", count: 256))","resource_type":"v","resource_id":"1"}"#,
  ])
  func aMalformedConsumerIsRefused(body: String) async throws {
    try await withService { service in
      let id = try await service.makeKey()
      let path = "/v1/secrets/\(id)/consumers"
      #expect(try await service.post(path, body).status == 400)
      #expect(try await service.ask("DELETE", path, Self.json, body: body).status == 400)
      #expect(
        try await service.ask("POST", path, ["Content-Type": "text/plain"], body: body).status
          == 415)
    }
  }
}
