import BarbicanAPI
import Testing

/// The rows of the protocol's table that are about secrets. What is expected is what a Barbican answers.
@Suite struct SecretRoutesTests {
  // "hello" in base64.
  static let withPayload = """
    {"name":"k","secret_type":"symmetric","algorithm":"aes","bit_length":256,"mode":"xts",\
    "payload":"aGVsbG8=","payload_content_type":"application/octet-stream",\
    "payload_content_encoding":"base64"}
    """
  static let missing = "00000000-0000-4000-8000-000000000000"

  @Test(arguments: ["/v1/secrets", "/v1/secrets/"])
  func createAnswersWhereTheSecretIs(path: String) async throws {
    try await withService { service in
      let answer = try await service.post(path, Self.withPayload, ["Host": "keys.example:9311"])
      #expect(answer.status == 201)
      let url = try answer.json(SecretReference.self).secretRef
      #expect(url == answer.headers["location"])
      #expect(url.hasPrefix("http://localhost/v1/secrets/"))
      #expect(answer.headers["content-type"] == "application/json")
    }
  }

  @Test func referencesHaveTheHostThatWasAsked() async throws {
    try await withService { service in
      let id = try await service.makeKey()
      for (host, base) in [
        ("keys.example:9311", "http://keys.example:9311"), ("a/b", "http://localhost"),
      ] {
        let answer = try await service.ask(
          text: "GET /v1/secrets/\(id) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
        #expect(try answer.json(SecretDocument.self).secretRef == "\(base)/v1/secrets/\(id)")
      }
    }
  }

  @Test func showHasBarbicansMembers() async throws {
    try await withService { service in
      let id = try await service.makeKey(Self.withPayload)
      let answer = try await service.ask("GET", "/v1/secrets/\(id)")
      #expect(answer.status == 200)
      let secret = try answer.json(SecretDocument.self)
      #expect(secret.name == "k")
      #expect(secret.status == "ACTIVE")
      #expect(secret.secretType == .symmetric)
      #expect(secret.algorithm == "aes")
      #expect(secret.bitLength == 256)
      #expect(secret.mode == "xts")
      #expect(secret.creatorID == "uid-0")
      #expect(secret.contentTypes == ["default": "application/octet-stream"])
      #expect(secret.secretRef == "http://localhost/v1/secrets/\(id)")
      #expect(answer.text.contains(#""expiration":null"#))
      #expect(secret.consumers == nil)
      let newer = try await service.ask(
        "GET", "/v1/secrets/\(id)", ["OpenStack-API-Version": "key-manager 1.1"])
      #expect(try newer.json(SecretDocument.self).consumers == [])
      #expect(newer.headers["openstack-api-version"] == "key-manager 1.1")
    }
  }

  @Test func aSecretWithoutPayloadGetsOneOnce() async throws {
    try await withService { service in
      let id = try await service.makeKey()
      let empty = try await service.ask("GET", "/v1/secrets/\(id)")
      #expect(try empty.json(SecretDocument.self).contentTypes == nil)
      #expect(!empty.text.contains("content_types"))
      let none = try await service.ask("GET", "/v1/secrets/\(id)/payload")
      #expect(none.status == 404)
      #expect(none.explanation == "Not Found. Sorry but your secret has no payload.")

      let octets = ["Content-Type": "application/octet-stream"]
      let put = try await service.ask("PUT", "/v1/secrets/\(id)", octets, body: "raw bytes")
      #expect(put.status == 204)
      #expect(put.headers["content-length"] == nil)
      let payload = try await service.ask("GET", "/v1/secrets/\(id)/payload", ["Accept": "*/*"])
      #expect(payload.status == 200)
      #expect(payload.text == "raw bytes")
      #expect(payload.headers["content-type"] == "application/octet-stream")
      let again = try await service.ask("PUT", "/v1/secrets/\(id)", octets, body: "others")
      #expect(again.status == 409)
      #expect(again.explanation == "Secret already has data, cannot modify it.")
    }
  }

  @Test(arguments: [
    ("application/octet-stream", "", "aGVsbG8=", 204, "aGVsbG8="),
    ("application/octet-stream", "base64", "aGVsbG8=", 204, "hello"),
    ("application/octet-stream", "base64", "aGVsbG8", 400, ""),
    ("application/octet-stream", "gzip", "aGVsbG8=", 400, ""),
    ("text/plain; charset=utf-8", "", "hello", 204, "hello"),
    ("text/plain; charset=latin-1", "", "hello", 415, ""),
    ("application/json", "", "{}", 415, ""),
    ("", "", "hello", 415, ""),
    ("text/plain", "", "", 400, ""),
  ])
  func putTakesTypesAndEncodings(
    type: String, encoding: String, body: String, status: Int, kept: String
  ) async throws {
    try await withService { service in
      let id = try await service.makeKey()
      var headers: [String: String] = [:]
      if !type.isEmpty { headers["Content-Type"] = type }
      if !encoding.isEmpty { headers["Content-Encoding"] = encoding }
      let answer = try await service.ask("PUT", "/v1/secrets/\(id)", headers, body: body)
      #expect(answer.status == status)
      let payload = try await service.ask("GET", "/v1/secrets/\(id)/payload")
      #expect(payload.status == (status == 204 ? 200 : 404))
      if status == 204 { #expect(payload.text == kept) }
    }
  }

  @Test(arguments: [
    ("", 200, "application/octet-stream"), ("*/*", 200, "application/octet-stream"),
    ("application/octet-stream", 200, "application/octet-stream"),
    ("text/plain", 200, "text/plain"), ("application/pkcs8", 200, "application/pkcs8"),
    ("image/png, application/octet-stream;q=0.5", 200, "application/octet-stream"),
    ("application/json", 406, "application/json"), ("image/png", 406, "application/json"),
  ])
  func payloadComesAsItIsAccepted(accept: String, status: Int, type: String) async throws {
    try await withService { service in
      let id = try await service.makeKey(Self.withPayload)
      let headers = accept.isEmpty ? [:] : ["Accept": accept]
      let answer = try await service.ask("GET", "/v1/secrets/\(id)/payload", headers)
      #expect(answer.status == status)
      #expect(answer.headers["content-type"] == type)
      if status == 200 { #expect(answer.text == "hello") }
    }
  }

  @Test func bytesThatAreNoTextAreNotGivenAsText() async throws {
    try await withService { service in
      // 0xFF 0xFE
      let id = try await service.makeKey(
        #"{"payload":"//4=","payload_content_type":"application/octet-stream","#
          + #""payload_content_encoding":"base64"}"#)
      let text = try await service.ask(
        "GET", "/v1/secrets/\(id)/payload", ["Accept": "text/plain"])
      #expect(text.status == 406)
      let bytes = try await service.ask("GET", "/v1/secrets/\(id)/payload")
      #expect(bytes.body == [0xFF, 0xFE])
    }
  }

  @Test func oldClientsGetThePayloadFromTheSecretItself() async throws {
    try await withService { service in
      let id = try await service.makeKey(Self.withPayload)
      let answer = try await service.ask(
        "GET", "/v1/secrets/\(id)", ["Accept": "application/octet-stream"])
      #expect(answer.text == "hello")
    }
  }

  @Test func deleteDeletesOnce() async throws {
    try await withService { service in
      let id = try await service.makeKey(Self.withPayload)
      #expect(try await service.ask("DELETE", "/v1/secrets/\(id)").status == 204)
      let again = try await service.ask("DELETE", "/v1/secrets/\(id)")
      #expect(again.status == 404)
      #expect(again.explanation == "Secret not found.")
      #expect(try await service.ask("GET", "/v1/secrets/\(id)").status == 404)
      #expect(try await service.ask("GET", "/v1/secrets/\(id)/payload").status == 404)
    }
  }

  @Test(arguments: [
    (missing, "Secret not found."),
    ("nonsense", "Not Found. Provided secret id is invalid."),
    ("ABCDEF00-0000-4000-8000-000000000000", "Not Found. Provided secret id is invalid."),
    // Version 1.
    ("00000000-0000-1000-8000-000000000000", "Not Found. Provided secret id is invalid."),
    ("%FF", "the path is not valid percent-encoded UTF-8"),
  ])
  func anIDThatIsNoneIsNotFound(id: String, text: String) async throws {
    try await withService { service in
      let status = id == "%FF" ? 400 : 404
      for (method, path) in [
        ("GET", id), ("GET", "\(id)/payload"), ("DELETE", id), ("PUT", id),
      ] {
        let answer = try await service.ask(
          method, "/v1/secrets/\(path)", ["Content-Type": "text/plain"],
          body: method == "PUT" ? "x" : nil)
        #expect(answer.status == status)
        #expect(answer.explanation == text)
      }
    }
  }

  @Test(arguments: [
    (#"{"#, "Malformed JSON"), ("", "Malformed JSON: the body is empty"),
    ("[]", "Malformed JSON: an object is expected"),
    ("{\"name\":\"\u{1}\"}", "Malformed JSON"),
    (#"{"name":5}"#, "the member 'name' is not of type String"),
    (#"{"bit_length":"256"}"#, "the member 'bit_length' is not of type Int"),
    (#"{"bit_length":0}"#, "0 is not from 1 to 32767"),
    (#"{"bit_length":32768}"#, "32768 is not from 1 to 32767"),
    (#"{"secret_type":"mystery"}"#, "the value of 'secret_type' is not valid"),
    (#"{"payload":"x"}"#, "'payload_content_type' must also be supplied"),
    (#"{"payload":"","payload_content_type":"text/plain"}"#, "must be non empty"),
    (#"{"payload":"x","payload_content_type":"image/png"}"#, "payload_content_type is not one of"),
    (
      #"{"payload":"x","payload_content_type":"application/octet-stream"}"#,
      "payload_content_encoding is not one of"
    ),
    (
      #"{"payload":"x","payload_content_type":"text/plain","payload_content_encoding":"base64"}"#,
      "payload_content_encoding is not one of"
    ),
    (
      #"{"payload":"?","payload_content_type":"application/octet-stream","#
        + #""payload_content_encoding":"base64"}"#,
      "Invalid payload for payload_content_encoding"
    ),
    (#"{"payload_content_type":"text/plain"}"#, "payload must be provided"),
    (#"{"expiration":"2001-01-01T00:00:00"}"#, "'expiration' is before current time"),
    (#"{"expiration":"tomorrow"}"#, "Invalid date for 'expiration'"),
    (#"{"name":""# + String(repeating: "n", count: 256) + #""}"#, "longer than 255 characters"),
  ])
  func aMalformedSecretIsRefused(body: String, reason: String) async throws {
    try await withService { service in
      let answer = try await service.post("/v1/secrets", body)
      #expect(answer.status == 400)
      #expect(answer.explanation?.contains(reason) == true, "\(answer.text)")
      #expect(answer.text.contains(#""title":"Bad Request""#))
      let list = try await service.ask("GET", "/v1/secrets").json(SecretList.self)
      #expect(list.total == 0)
    }
  }

  @Test func unknownMembersArePassedOver() async throws {
    try await withService { service in
      let answer = try await service.post(
        "/v1/secrets", #"{"name":" spaces ","transport_key_needed":"false","later":{"a":[1]}}"#)
      #expect(answer.status == 201)
      let secret = try await service.ask("GET", "/v1/secrets/\(answer.location!)")
      #expect(try secret.json(SecretDocument.self).name == "spaces")
      #expect(try secret.json(SecretDocument.self).secretType == .opaque)
    }
  }

  @Test func onlyJSONIsTakenForANewSecret() async throws {
    try await withService { service in
      for type in ["application/x-www-form-urlencoded", "text/plain"] {
        let answer = try await service.ask(
          "POST", "/v1/secrets", ["Content-Type": type], body: "{}")
        #expect(answer.status == 415)
      }
      let answer = try await service.ask(
        "POST", "/v1/secrets", ["Content-Type": "Application/JSON; charset=utf-8"], body: "{}")
      #expect(answer.status == 201)
    }
  }

  @Test func sizesHaveBarbicansLimits() async throws {
    try await withService { service in
      func secret(_ count: Int) -> String {
        #"{"payload":""# + String(repeating: "p", count: count)
          + #"","payload_content_type":"text/plain"}"#
      }
      #expect(try await service.post("/v1/secrets", secret(20_000)).status == 201)
      #expect(try await service.post("/v1/secrets", secret(20_001)).status == 413)
      #expect(try await service.post("/v1/secrets", secret(25_000)).status == 400)
      let id = try await service.makeKey()
      let text = ["Content-Type": "text/plain"]
      let large = String(repeating: "p", count: 20_001)
      #expect(
        try await service.ask("PUT", "/v1/secrets/\(id)", text, body: large).status == 413)
      let allowed = String(large.dropLast())
      #expect(
        try await service.ask("PUT", "/v1/secrets/\(id)", text, body: allowed).status == 204)
      #expect(try await service.ask("GET", "/v1/secrets/\(id)/payload").text == allowed)
    }
  }

  @Test func otherMethodsAreNotAllowed() async throws {
    try await withService { service in
      for (method, path, allow) in [
        ("PUT", "/v1/secrets", "GET, POST"), ("PATCH", "/v1/secrets/x", "GET, PUT, DELETE"),
        ("DELETE", "/v1/secrets/x/payload", "GET, PUT"), ("POST", "/", "GET"),
        ("DELETE", "/v1", "GET"), ("PUT", "/v1/orders", "GET, POST"),
      ] {
        let answer = try await service.ask(method, path)
        #expect(answer.status == 405)
        #expect(answer.headers["allow"] == allow)
      }
    }
  }

  @Test func logsHoldNeitherKeysNorBodies() async throws {
    try await withService { service in
      let id = try await service.makeKey(
        #"{"name":"a name","payload":"hushhushhush","payload_content_type":"text/plain"}"#)
      _ = try await service.ask("GET", "/v1/secrets/\(id)/payload?secret=whisper")
      _ = try await service.post("/v1/secrets", #"{"payload":["hushhushhush"]}"#)
      let log = service.log.text
      #expect(log.contains("/v1/secrets/\(id)/payload"))
      #expect(log.contains("201"))
      #expect(!log.contains("hush"))
      #expect(!log.contains("whisper"))
      #expect(!log.contains("a name"))
    }
  }
}
