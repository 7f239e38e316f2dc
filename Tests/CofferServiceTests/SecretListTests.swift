import BarbicanAPI
import Testing

/// Paging, filters and order of `GET /v1/secrets`.
@Suite struct SecretListTests {
  private func names(_ service: TestService, _ query: String) async throws -> [String?] {
    try await service.ask("GET", "/v1/secrets?\(query)").json(SecretList.self).secrets.map(\.name)
  }

  @Test func pagesAreLinked() async throws {
    try await withService { service in
      for number in 1...23 { _ = try await service.makeKey(#"{"name":"k\#(number)"}"#) }
      var path = "/v1/secrets"
      var seen: [String?] = []
      var previous: [String?] = []
      for _ in 0..<3 {
        let list = try await service.ask("GET", path).json(SecretList.self)
        #expect(list.total == 23)
        seen += list.secrets.map(\.name)
        previous.append(list.previous)
        path = list.next.map { String($0.dropFirst("http://localhost".count)) } ?? ""
      }
      #expect(path == "")
      #expect(seen == (1...23).map { "k\($0)" })
      #expect(
        previous == [
          nil, "http://localhost/v1/secrets?limit=10&offset=0",
          "http://localhost/v1/secrets?limit=10&offset=10",
        ])
    }
  }

  @Test func linksKeepTheFilter() async throws {
    try await withService { service in
      for _ in 1...3 { _ = try await service.makeKey(#"{"name":"a b","algorithm":"aes"}"#) }
      let list = try await service.ask("GET", "/v1/secrets?limit=1&name=a+b&offset=1&alg=aes")
        .json(SecretList.self)
      #expect(list.next == "http://localhost/v1/secrets?limit=1&offset=2&name=a+b&alg=aes")
      #expect(list.previous == "http://localhost/v1/secrets?limit=1&offset=0&name=a+b&alg=aes")
    }
  }

  @Test func oddPagesArePutRight() async throws {
    try await withService { service in
      for number in 1...12 { _ = try await service.makeKey(#"{"name":"k\#(number)"}"#) }
      for (query, count) in [
        ("limit=0", 1), ("limit=-5", 1), ("limit=x", 10), ("limit=", 10), ("limit=1000", 12),
        ("offset=-3", 10), ("offset=x", 10), ("offset=11", 1), ("offset=99", 0),
        ("limit=99999999999999999999", 10),
      ] {
        #expect(try await names(service, query).count == count, "\(query)")
      }
      let behind = try await service.ask("GET", "/v1/secrets?offset=99").json(SecretList.self)
      #expect(behind == SecretList(secrets: [], total: 12))
    }
  }

  @Test func filtersAndOrder() async throws {
    try await withService { service in
      for (name, rest) in [
        ("b", #""secret_type":"symmetric","algorithm":"aes","bit_length":256,"mode":"xts""#),
        ("a", #""secret_type":"passphrase""#),
        ("ü%", #""secret_type":"symmetric","algorithm":"aes","bit_length":512,"mode":"cbc""#),
      ] {
        _ = try await service.makeKey(#"{"name":"\#(name)",\#(rest)}"#)
      }
      for (query, expected) in [
        ("", ["b", "a", "ü%"]), ("sort=name", ["a", "b", "ü%"]),
        ("sort=name:desc", ["ü%", "b", "a"]), ("sort=created:desc", ["ü%", "a", "b"]),
        ("sort=algorithm:desc,bit_length:desc", ["ü%", "b", "a"]),
        ("name=a", ["a"]), ("name=%C3%BC%25", ["ü%"]), ("name=none", []),
        ("secret_type=symmetric", ["b", "ü%"]), ("alg=aes&bits=256", ["b"]),
        ("bits=nonsense", ["b", "a", "ü%"]), ("mode=cbc", ["ü%"]),
      ] {
        #expect(try await names(service, query) == expected, "\(query)")
      }
    }
  }

  @Test(arguments: [
    "sort=colour", "sort=name:up", "sort=name:asc:desc", "sort=name,name:desc", "sort=bitLength",
    "secret_type=mystery", "created=gt:2020-01-01", "name=%zz", "name=%FF",
  ])
  func anOddQueryIsRefused(query: String) async throws {
    try await withService { service in
      let answer = try await service.ask("GET", "/v1/secrets?\(query)")
      #expect(answer.status == 400)
    }
  }

  @Test func newerVersionsShowConsumers() async throws {
    try await withService { service in
      _ = try await service.makeKey()
      let old = try await service.ask("GET", "/v1/secrets")
      #expect(!old.text.contains("consumers"))
      let new = try await service.ask(
        "GET", "/v1/secrets", ["OpenStack-API-Version": "key-manager latest"])
      #expect(new.text.contains(#""consumers":[]"#))
      #expect(new.headers["openstack-api-version"] == "key-manager 1.2")
    }
  }
}
