import BarbicanAPI
import Glibc
import Testing
import VolumeAPI

@Suite struct VolumeRoutesTests {
  @Test func statusSaysWhichInstanceThisIs() async throws {
    try await withService { service in
      let status = try await service.ask("GET", "/coffer/v1/status").json(ServiceStatus.self)
      #expect(status.pid == getpid())
      #expect(status.version == "test")
    }
  }

  @Test func listsAreEmptyAtFirst() async throws {
    try await withService { service in
      let volumes = try await service.ask("GET", "/coffer/v1/volumes").json(VolumeList.self)
      #expect(volumes.volumes.isEmpty)
      let attachments = try await service.ask("GET", "/coffer/v1/attachments")
        .json(AttachmentList.self)
      #expect(attachments.attachments.isEmpty)
    }
  }

  @Test(arguments: ["nothing", "import", "00000000-0000-4000-8000-000000000000", "a%20b%2Fc"])
  func aMissingVolumeIsNotFound(name: String) async throws {
    try await withService { service in
      for method in ["GET", "DELETE"] {
        let answer = try await service.ask(method, "/coffer/v1/volumes/\(name)")
        #expect(answer.status == 404)
        #expect(answer.reason == "no-such-volume")
      }
      let decoded = try await service.ask("GET", "/coffer/v1/volumes/a%20b%2Fc")
      #expect(decoded.explanation?.contains("a b/c") == true)
    }
  }

  @Test(arguments: [
    ("/coffer/v1/volumes", "{", "Malformed JSON"),
    ("/coffer/v1/volumes", #"{"size":4096}"#, "the member 'name' is missing"),
    ("/coffer/v1/volumes", #"{"name":"v","size":-1}"#, "a number that is out of its range"),
    ("/coffer/v1/volumes", #"{"name":"v","size":4096,"key_id":"x"}"#, "key_id"),
    ("/coffer/v1/attachments", "{}", "is missing"),
    ("/coffer/v1/volumes/import", "passphrase", "'name' and 'image'"),
    ("/coffer/v1/volumes/import?name=v&image=", "passphrase", "'name' and 'image'"),
  ])
  func aMalformedRequestIsRefused(path: String, body: String, reason: String) async throws {
    try await withService { service in
      let answer = try await service.post(path, body)
      #expect(answer.status == 400)
      #expect(answer.reason == "invalid-request")
      #expect(answer.explanation?.contains(reason) == true, "\(answer.text)")
    }
  }

  @Test func bodiesHaveALimit() async throws {
    try await withService { service in
      let document = try await service.post(
        "/coffer/v1/volumes", String(repeating: " ", count: (64 << 10) + 1))
      #expect(document.status == 413)
      let passphrase = try await service.post(
        "/coffer/v1/volumes/import?name=v&image=/nowhere",
        String(repeating: "p", count: (8 << 20) + 1))
      #expect(passphrase.status == 413)
      #expect(passphrase.reason == "invalid-request")
    }
  }

  @Test func aKeyIsCopiedInside() async throws {
    try await withService { service in
      let id = try await service.makeKey(SecretRoutesTests.withPayload)
      let answer = try await service.post("/coffer/v1/keys/\(id)/copy", #"{"name":"c"}"#)
      #expect(answer.status == 201)
      let copy = try answer.json(KeyCopyReply.self).id
      let record = try await service.ask("GET", "/v1/secrets/\(copy)").json(SecretDocument.self)
      #expect(record.name == "c")
      #expect(record.bitLength == 256)
      #expect(try await service.ask("GET", "/v1/secrets/\(copy)/payload").text == "hello")
      let unnamed = try await service.post("/coffer/v1/keys/\(id)/copy", "{}")
      #expect(unnamed.status == 201)
    }
  }

  @Test func aMissingKeyIsNotCopied() async throws {
    try await withService { service in
      for id in [SecretRoutesTests.missing, "nonsense"] {
        let answer = try await service.post("/coffer/v1/keys/\(id)/copy", "{}")
        #expect(answer.status == 404)
        #expect(answer.reason == "no-such-key")
      }
    }
  }
}
