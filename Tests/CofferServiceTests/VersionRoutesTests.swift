import BarbicanAPI
import Testing

@testable import CofferService

@Suite struct VersionRoutesTests {
  @Test func theRootListsVersions() async throws {
    try await withService { service in
      let answer = try await service.ask(
        "GET", "/",
        ["Accept": "application/json", "OpenStack-API-Version": "key-manager 1.1"])
      #expect(answer.status == 300)
      let version = try #require(try answer.json(VersionsDocument.self).versions.first)
      #expect(version.id == "v1")
      #expect(version.status == "CURRENT")
      #expect(version.minVersion == "1.0")
      #expect(version.maxVersion == "1.2")
      #expect(version.links.first?.href == "http://localhost/v1/")
      let old = try await service.ask("GET", "/")
      #expect(old.status == 300)
      #expect(try old.json(StableVersionsDocument.self).versions.values.first?.status == "stable")
    }
  }

  @Test(arguments: ["/v1", "/v1/"])
  func versionOne(path: String) async throws {
    try await withService { service in
      let answer = try await service.ask(
        "GET", path, ["OpenStack-API-Version": "key-manager 1.2"])
      #expect(answer.status == 200)
      #expect(try answer.json(SingleVersionDocument.self).version.maxVersion == "1.2")
    }
  }

  @Test(
    arguments: [
      (nil, "1.0"), ("compute 2.1", "1.0"), ("key-manager 1.1", "1.1"),
      ("compute 2.1, key-manager 1.2", "1.2"), ("key-manager latest", "1.2"),
    ] as [(String?, String)])
  func microversions(header: String?, version: String) throws {
    #expect(try Microversion(header).description == version)
  }

  @Test(arguments: [
    ("key-manager 1.3", 406), ("key-manager 2.0", 406), ("key-manager 01.1", 406),
    ("key-manager", 400), ("key-manager 1.1 x", 400),
  ])
  func anUnknownMicroversionIsRefused(header: String, status: Int) async throws {
    try await withService { service in
      let answer = try await service.ask("GET", "/v1", ["OpenStack-API-Version": header])
      #expect(answer.status == status)
    }
  }

  @Test func whatIsNotThereIsNotFound() async throws {
    try await withService { service in
      for path in ["/v2", "/v1/containers", "/v1/secrets/a/b", "/coffer", "/coffer/v1", "/V1"] {
        let answer = try await service.ask("GET", path)
        #expect(answer.status == 404)
        #expect(answer.explanation?.contains(path) == true)
      }
    }
  }
}
