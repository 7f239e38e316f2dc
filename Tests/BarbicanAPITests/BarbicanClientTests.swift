import BarbicanAPI
import FakeServer
import KeyManager
import SecretMemory
import Synchronization
import Testing

private let id = KeyID("cba33429-08c9-44cd-abac-d814d1c5f966")!
private let other = KeyID("3f62fb3a-75c5-4966-aca2-b3fef869c974")!
private let order = "226577a2-2bbb-4b52-b59f-e8747c012a87"
private let context = RequestContext.local(uid: 1000)

private func document(_ id: KeyID, hasValue: Bool = true, type: String = "symmetric") -> String {
  let contentType = type == "passphrase" ? "text/plain" : "application/octet-stream"
  let contentTypes = hasValue ? #""content_types":{"default":"\#(contentType)"},"# : ""
  return
    #"{"created":"2026-11-21T02:33:23.162241","updated":"2026-11-21T02:33:23","status":"ACTIVE","#
    + #""name":"n","secret_type":"\#(type)","expiration":null,"algorithm":"aes","#
    + #""bit_length":256,"mode":null,"creator_id":"u1",\#(contentTypes)"#
    + #""secret_ref":"http://localhost/v1/secrets/\#(id)"}"#
}

private func orderDocument(_ status: String, _ rest: String = "") -> String {
  #"{"created":"2026-11-21T02:33:23.162241","updated":"2026-11-21T02:33:23","#
    + #""status":"\#(status)","type":"key","meta":{"name":null,"expiration":null},"#
    + #""order_ref":"http://localhost/v1/orders/\#(order)"\#(rest)}"#
}

private func fault(_ status: Int, _ description: String) -> FakeServer.Reply {
  .json(status, #"{"code":\#(status),"title":"Title","description":"\#(description)"}"#)
}

private func secret(_ text: String) throws -> SecretBytes {
  var bytes = Array(text.utf8)
  return try .taking(&bytes)
}

/// Calls `body` with a client of a server that looks its answers up by `METHOD target`; others are 404,
/// as Barbican's. Several answers to one request come one after the other, the last again and again.
private func withClient<Result>(
  _ answers: [String: [FakeServer.Reply]], project: String? = nil,
  _ body: (BarbicanClient, FakeServer) async throws -> Result
) async throws -> Result {
  let left = Mutex(answers)
  return try await withServer({ request in
    left.withLock { left in
      let key = "\(request.method) \(request.target)"
      guard let replies = left[key], let first = replies.first else {
        return fault(404, "Not Found. Sorry but your secret is in another castle.")
      }
      if replies.count > 1 { left[key]?.removeFirst() }
      return first
    }
  }) { server in
    try await body(
      BarbicanClient(HTTPTransport(.unixSocket(server.path)), project: project), server)
  }
}

private func lines(_ server: FakeServer) -> [String] {
  server.requests.map { "\($0.method) \($0.target)" }
}

/// The error that `body` throws.
private func error<Result: ~Copyable>(
  of body: () async throws(KeyManagerError) -> Result
) async -> KeyManagerError? {
  do throws(KeyManagerError) {
    _ = try await body()
    return nil
  } catch {
    return error
  }
}

@Suite struct BarbicanClientTests {
  @Test func createsAKeyByAnOrderAndTidiesUp() async throws {
    let reference = #"{"order_ref":"http://localhost/v1/orders/\#(order)"}"#
    let active = orderDocument(
      "ACTIVE", #","secret_ref":"http://localhost/v1/secrets/\#(id)""#)
    try await withClient([
      "POST /v1/orders": [.json(202, reference)],
      "GET /v1/orders/\(order)": [
        .json(200, orderDocument("PENDING")), .json(200, orderDocument("PENDING")),
        .json(200, active),
      ],
      "DELETE /v1/orders/\(order)": [.noContent],
    ]) { client, server in
      let attributes = KeyAttributes(name: "k", algorithm: "aes", bitLength: 256, mode: "xts")
      let new = try await client.createKey(attributes, context: context)
      #expect(new == id)
      #expect(
        lines(server)
          == ["POST /v1/orders"] + Array(repeating: "GET /v1/orders/\(order)", count: 3)
          + ["DELETE /v1/orders/\(order)"])
      #expect(
        server.requests[0].text
          == #"{"meta":{"algorithm":"aes","bit_length":256,"mode":"xts","name":"k","#
          + #""payload_content_type":"application/octet-stream"},"type":"key"}"#)
    }
  }

  @Test func aFailedOrderIsAnErrorAndRemoved() async throws {
    let reference = #"{"order_ref":"http://localhost/v1/orders/\#(order)"}"#
    for (status, code) in [("400", KeyManagerError.Code.invalidRequest), ("500", .unavailable)] {
      let failed = orderDocument(
        "ERROR", #","error_status_code":"\#(status)","error_reason":"no such algorithm""#)
      try await withClient([
        "POST /v1/orders": [.json(202, reference)],
        "GET /v1/orders/\(order)": [.json(200, failed)],
      ]) { client, server in
        let error = await error { () throws(KeyManagerError) in
          try await client.createKey(KeyAttributes(), context: context)
        }
        #expect(error?.code == code)
        #expect(error?.message == "cannot create a key: no such algorithm")
        #expect(lines(server).last == "DELETE /v1/orders/\(order)")
      }
    }
  }

  @Test func storesTheValueAfterTheAttributes() async throws {
    try await withClient([
      "POST /v1/secrets": [
        .json(201, #"{"secret_ref":"http://localhost/v1/secrets/\#(id)"}"#)
      ],
      "PUT /v1/secrets/\(id)": [.noContent],
    ]) { client, server in
      let attributes = KeyAttributes(
        name: "k", algorithm: "aes", bitLength: 24, expiration: Timestamp(microseconds: 1))
      let new = try await client.store(secret("abc"), attributes, context: context)
      #expect(new == id)
      let seen = server.requests
      #expect(lines(server) == ["POST /v1/secrets", "PUT /v1/secrets/\(id)"])
      #expect(
        seen[0].text
          == #"{"algorithm":"aes","bit_length":24,"expiration":"1970-01-01T00:00:00.000001","#
          + #""name":"k","secret_type":"symmetric"}"#)
      #expect(seen[1].text == "abc")
      #expect(seen[1].headers["content-type"] == "application/octet-stream")
      let empty = try await client.store(nil, attributes, context: context)
      #expect(empty == id && lines(server).count == 3)
    }
  }

  @Test func aValueThatIsRefusedLeavesNothingBehind() async throws {
    let created = FakeServer.Reply.json(
      201, #"{"secret_ref":"http://localhost/v1/secrets/\#(id)"}"#)
    try await withClient([
      "POST /v1/secrets": [created],
      "PUT /v1/secrets/\(id)": [fault(413, "Provided information too large to process")],
      "DELETE /v1/secrets/\(id)": [.noContent],
    ]) { client, server in
      let error = await error { () throws(KeyManagerError) in
        try await client.store(value(), KeyAttributes(), context: context)
      }
      #expect(error?.code == .payloadTooLarge)
      #expect(lines(server).last == "DELETE /v1/secrets/\(id)")
    }
    try await withClient([
      "POST /v1/secrets": [created],
      "PUT /v1/secrets/\(id)": [fault(503, "Down")],
      "DELETE /v1/secrets/\(id)": [fault(503, "Down")],
    ]) { client, _ in
      let error = await error { () throws(KeyManagerError) in
        try await client.store(value(), KeyAttributes(), context: context)
      }
      #expect(error?.code == .unavailable)
      #expect(error?.message.contains("Key \(id) without a value is left over") == true)
    }
  }

  private func value() throws(KeyManagerError) -> SecretBytes {
    do { return try secret("abc") } catch { throw KeyManagerError(.internalFailure, "\(error)") }
  }

  @Test func getsAKey() async throws {
    try await withClient([
      "GET /v1/secrets/\(id)": [.json(200, document(id))],
      "GET /v1/secrets/\(id)/payload": [
        .answer(200, type: "application/octet-stream", [0, 255, 10])
      ],
    ]) { client, server in
      let key = try await client.get(id, context: context)
      let bytes = key.value.withUnsafeBytes { Array($0) }
      let record = key.record
      #expect(bytes == [0, 255, 10])
      #expect(record.id == id && record.project == "uid-1000" && record.attributes.name == "n")
      #expect(server.requests[1].headers["accept"] == "application/octet-stream")
      #expect(server.requests[1].headers["x-project-id"] == nil)
    }
  }

  @Test func getsAPassphraseInAnotherProject() async throws {
    try await withClient(
      [
        "GET /v1/secrets/\(id)": [.json(200, document(id, type: "passphrase"))],
        "GET /v1/secrets/\(id)/payload": [
          .answer(200, type: "text/plain; charset=utf-8", Array("öpen".utf8))
        ],
      ], project: "p2"
    ) { client, server in
      let key = try await client.get(id, context: context)
      let text = key.value.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
      let project = key.record.project
      #expect(text == "öpen" && project == "p2")
      #expect(server.requests.allSatisfy { $0.headers["x-project-id"] == "p2" })
    }
  }

  @Test func noKeyAndNoValueAreNotFound() async throws {
    try await withClient([
      "GET /v1/secrets/\(other)": [.json(200, document(other, hasValue: false))]
    ]) { client, _ in
      let missing = await error { () throws(KeyManagerError) in
        try await client.get(id, context: context)
      }
      #expect(missing == .noSuchKey(id))
      let empty = await error { () throws(KeyManagerError) in
        try await client.get(other, context: context)
      }
      #expect(empty?.code == .notFound)
      let deletion = await error { () throws(KeyManagerError) in
        try await client.delete(id, context: context)
      }
      #expect(deletion == .noSuchKey(id))
    }
  }

  @Test func anHTMLPageIsNoKey() async throws {
    let page = FakeServer.Reply.answer(200, type: "text/html", Array("<html>".utf8))
    try await withClient([
      "GET /v1/secrets/\(id)": [.json(200, document(id))],
      "GET /v1/secrets/\(id)/payload": [page],
      "GET /v1/secrets/\(other)": [page],
      "GET /v1/secrets?limit=10&offset=0&sort=created:asc": [.json(200, "{\"secrets\":7}")],
    ]) { client, _ in
      for wrong in [id, other] {
        let error = await error { () throws(KeyManagerError) in
          try await client.get(wrong, context: context)
        }
        #expect(error?.code == .internalFailure)
      }
      let error = await error { () throws(KeyManagerError) in
        try await client.list(KeyQuery(), context: context)
      }
      #expect(error?.code == .internalFailure)
    }
  }

  @Test func anotherKeyThanAskedForIsRefused() async throws {
    try await withClient(["GET /v1/secrets/\(id)": [.json(200, document(other))]]) { client, _ in
      let error = await error { () throws(KeyManagerError) in
        try await client.record(of: id, context: context)
      }
      #expect(error?.code == .internalFailure)
    }
  }

  @Test func copiesInsideTheKeyManager() async throws {
    try await withClient([
      "POST /coffer/v1/keys/\(id)/copy": [.json(201, #"{"id":"\#(other)"}"#)]
    ]) { client, server in
      let new = try await client.copy(id, name: "c", context: context)
      #expect(new == other)
      #expect(server.requests.map(\.text) == [#"{"name":"c"}"#])
    }
  }

  @Test(arguments: [404, 405])
  func copiesByGetAndStoreElsewhere(_ status: Int) async throws {
    try await withClient([
      "POST /coffer/v1/keys/\(id)/copy": [
        .answer(status, type: "text/html", Array("<html>".utf8))
      ],
      "GET /v1/secrets/\(id)": [.json(200, document(id))],
      "GET /v1/secrets/\(id)/payload": [
        .answer(200, type: "application/octet-stream", Array("key".utf8))
      ],
      "POST /v1/secrets": [
        .json(201, #"{"secret_ref":"http://localhost/v1/secrets/\#(other)"}"#)
      ],
      "PUT /v1/secrets/\(other)": [.noContent],
    ]) { client, server in
      let new = try await client.copy(id, name: nil, context: context)
      #expect(new == other)
      let seen = server.requests
      #expect(
        seen[3].text == #"{"algorithm":"aes","bit_length":256,"secret_type":"symmetric"}"#)
      #expect(seen[4].text == "key")
    }
    try await withClient([:]) { client, _ in
      let error = await error { () throws(KeyManagerError) in
        try await client.copy(id, name: nil, context: context)
      }
      #expect(error == .noSuchKey(id))
    }
  }

  @Test func listsWithAllFilters() async throws {
    let target =
      "/v1/secrets?limit=2&offset=4&name=a%20%26%2B%C3%B6&secret_type=passphrase&alg=aes&bits=256"
      + "&mode=xts&sort=bit_length:desc,name:asc"
    try await withClient([
      "GET \(target)": [
        .json(
          200, #"{"secrets":[\#(document(id)),\#(document(other, hasValue: false))],"total":7}"#)
      ]
    ]) { client, _ in
      let query = KeyQuery(
        limit: 2, offset: 4, name: "a &+ö", type: .passphrase, algorithm: "aes", bitLength: 256,
        mode: "xts",
        order: [.init(.bitLength, ascending: false), .init(.name, ascending: true)])
      let page = try await client.list(query, context: context)
      #expect(page.total == 7 && page.records.map(\.id) == [id, other])
      #expect(page.records.map(\.hasValue) == [true, false])
    }
  }

  @Test(arguments: [
    (400, KeyManagerError.Code.invalidRequest), (401, .notAuthorized), (403, .notAuthorized),
    (404, .notFound), (406, .invalidRequest), (409, .conflict), (413, .payloadTooLarge),
    (415, .invalidRequest), (418, .internalFailure), (500, .unavailable), (503, .unavailable),
    (302, .internalFailure),
  ])
  func statusesAndErrors(_ status: Int, _ code: KeyManagerError.Code) async throws {
    let replies = [
      fault(status, "because"), .answer(status, type: "text/html", Array("<html>".utf8)),
      .json(status, "not JSON"), fault(status, ""),
    ]
    for (index, reply) in replies.enumerated() {
      try await withClient(["DELETE /v1/secrets/\(id)": [reply]]) { client, server in
        let error = await error { () throws(KeyManagerError) in
          try await client.delete(id, context: context)
        }
        #expect(error?.code == code)
        if index == 0, status != 404 { #expect(error?.message.contains("because") == true) }
        if status >= 500 { #expect(error?.message.contains(server.path) == true) }
      }
    }
  }

  @Test func nobodyThere() async throws {
    let client = BarbicanClient(HTTPTransport(.unixSocket("/nonexistent/cofferd.sock")))
    let error = await error { () throws(KeyManagerError) in
      try await client.get(id, context: context)
    }
    #expect(error?.code == .unavailable)
    #expect(
      error?.message
        == "cannot connect to the service at /nonexistent/cofferd.sock: No such file or directory. "
        + "Is cofferd running? Start it, or name its socket with --socket or COFFER_SOCKET")
  }
}
