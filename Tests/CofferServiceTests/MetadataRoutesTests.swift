import BarbicanAPI
import Testing

/// The user's own metadata of a secret. What is expected is what a Barbican answers.
@Suite struct MetadataRoutesTests {
  private static let json = ["Content-Type": "application/json"]

  @Test func allAtOnce() async throws {
    try await withService { service in
      let id = try await service.makeKey()
      let path = "/v1/secrets/\(id)/metadata"
      #expect(try await service.ask("GET", path).text == #"{"metadata":{}}"#)
      let put = try await service.ask(
        "PUT", path, Self.json, body: #"{"metadata":{"Purpose":"backup","a_b-1":""}}"#)
      #expect(put.status == 201)
      #expect(put.text == #"{"metadata_ref":"http://localhost\#(path)"}"#)
      let all = try await service.ask("GET", path)
      #expect(all.status == 200)
      #expect(all.text == #"{"metadata":{"a_b-1":"","purpose":"backup"}}"#)
      let other = try await service.ask("PUT", path, Self.json, body: #"{"metadata":{"x":"y"}}"#)
      #expect(other.status == 201)
      #expect(try await service.ask("GET", path).text == #"{"metadata":{"x":"y"}}"#)
    }
  }

  @Test func oneByOne() async throws {
    try await withService { service in
      let id = try await service.makeKey()
      let path = "/v1/secrets/\(id)/metadata"
      let made = try await service.post(path, #"{"key":"Purpose","value":"backup"}"#)
      #expect(made.status == 201)
      #expect(made.headers["location"] == "http://localhost\(path)/purpose")
      #expect(made.text == #"{"key":"purpose","value":"backup"}"#)
      let twice = try await service.post(path, #"{"key":"purpose","value":"other"}"#)
      #expect(twice.status == 409)
      #expect(
        twice.explanation == "Conflict. Key in request is already in the secret metadata")
      #expect(
        try await service.ask("GET", "\(path)/purpose").text
          == #"{"key":"purpose","value":"backup"}"#)

      let put = try await service.ask(
        "PUT", "\(path)/purpose", Self.json, body: #"{"key":"purpose","value":"new"}"#)
      #expect(put.status == 200)
      #expect(put.text == #"{"key":"purpose","value":"new"}"#)
      let mismatch = try await service.ask(
        "PUT", "\(path)/purpose", Self.json, body: #"{"key":"other","value":"new"}"#)
      #expect(mismatch.status == 409)
      let absent = try await service.ask(
        "PUT", "\(path)/other", Self.json, body: #"{"key":"other","value":"new"}"#)
      #expect(absent.status == 404)
      #expect(absent.explanation == "Secret metadata not found.")
      for _ in 0..<2 {
        #expect(try await service.ask("DELETE", "\(path)/purpose").status == 204)
      }
      #expect(try await service.ask("GET", "\(path)/purpose").status == 404)
      #expect(try await service.ask("POST", "\(path)/purpose").status == 405)
    }
  }

  @Test(arguments: [
    #"{"key":"a b","value":"v"}"#, #"{"key":"a/b","value":"v"}"#, #"{"key":"é","value":"v"}"#,
    #"{"key":"a"}"#, #"{"key":"a","value":1}"#, "[]",
    #"{"key":"a","value":"\#(String(repeating: "v", count: 256))"}"#,
  ])
  func aMalformedItemIsRefused(body: String) async throws {
    try await withService { service in
      let id = try await service.makeKey()
      #expect(try await service.post("/v1/secrets/\(id)/metadata", body).status == 400)
      #expect(
        try await service.ask("GET", "/v1/secrets/\(id)/metadata").text == #"{"metadata":{}}"#)
    }
  }

  @Test func aMalformedDocumentIsRefused() async throws {
    try await withService { service in
      let id = try await service.makeKey()
      for body in [
        #"{}"#, #"{"metadata":[]}"#, #"{"metadata":{"a":1}}"#, #"{"metadata":{"/":""}}"#,
      ] {
        let answer = try await service.ask(
          "PUT", "/v1/secrets/\(id)/metadata", Self.json, body: body)
        #expect(answer.status == 400)
      }
    }
  }

  @Test func metadataIsNoPartOfTheSecret() async throws {
    try await withService { service in
      let id = try await service.makeKey(
        #"{"name":"k","payload":"p","payload_content_type":"text/plain"}"#)
      let before = try await service.ask("GET", "/v1/secrets/\(id)")
      _ = try await service.post("/v1/secrets/\(id)/metadata", #"{"key":"a","value":"b"}"#)
      #expect(try await service.ask("GET", "/v1/secrets/\(id)").body == before.body)
      #expect(try await service.ask("GET", "/v1/secrets/\(id)/payload").text == "p")
    }
  }
}
