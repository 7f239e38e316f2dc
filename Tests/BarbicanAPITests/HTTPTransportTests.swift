import BarbicanAPI
import FakeServer
import FoundationEssentials
import Glibc
import SecretMemory
import Testing

/// Runs `body` against a server that answers as `respond` says.
func withServer<Result>(
  _ respond: @escaping @Sendable (FakeServer.Request) -> FakeServer.Reply,
  _ body: (FakeServer) async throws -> Result
) async rethrows -> Result {
  let server = FakeServer(respond)
  defer { server.stop() }
  return try await body(server)
}

private func answer(_ length: Int, _ body: String) -> [UInt8] {
  Array(
    ("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(length)\r\n\r\n"
      + body).utf8)
}

/// The code of the error that one GET meets.
private func failure(
  at path: String, timeout: Duration = .seconds(20), bodyBound: Int = 1000, secret: Bool = false
) async -> HTTPTransportError? {
  let transport = HTTPTransport(
    .unixSocket(path), timeout: timeout, bodyBound: bodyBound, secretBound: 100)
  var request = HTTPTransport.Request(.get, "/")
  request.wantsSecret = secret
  do {
    _ = try await transport.send(request).status
    return nil
  } catch {
    return error
  }
}

@Suite struct HTTPTransportTests {
  @Test func sendsMethodHeadersAndBody() async throws {
    try await withServer({ _ in .json(200, "{}") }) { server in
      let transport = HTTPTransport(.unixSocket(server.path))
      var request = HTTPTransport.Request(.put, "/a%2Fb/../c?d=e", json: ["x": "y/z"])
      request.headers["X-Project-Id"] = "p1"
      let status = try await transport.send(request).status
      #expect(status == 200)
      let deletion = try await transport.send(.init(.delete, "/d")).status
      #expect(deletion == 200)
      let seen = server.requests
      #expect(seen.map(\.method) == ["PUT", "DELETE"])
      #expect(seen[0].target == "/a%2Fb/../c?d=e")
      #expect(seen[0].text == #"{"x":"y/z"}"#)
      #expect(seen[0].headers["content-type"] == "application/json")
      #expect(seen[0].headers["accept"] == "application/json")
      #expect(seen[0].headers["x-project-id"] == "p1")
      #expect(seen[1].body.isEmpty && seen[1].headers["content-type"] == nil)
    }
  }

  @Test func keepsAConnectionButNotForPostsAndSecrets() async throws {
    try await withServer({ _ in .json(200, "{}") }) { server in
      let transport = HTTPTransport(.unixSocket(server.path))
      func get(secret: Bool = false) async throws {
        var request = HTTPTransport.Request(.get, "/")
        request.wantsSecret = secret
        _ = try await transport.send(request).status
      }
      try await get()
      try await get()
      _ = try await transport.send(.init(.post, "/")).status
      try await get(secret: true)
      try await get()
      #expect(server.requests.map(\.connection) == [1, 1, 2, 2, 3])
    }
  }

  @Test func secretsGoThroughWhole() async throws {
    // More than any buffer of libcurl, so that it comes in pieces.
    let bytes = (0..<500_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    try await withServer({ .answer(200, type: "application/octet-stream", $0.body) }) { server in
      let transport = HTTPTransport(.unixSocket(server.path), secretBound: 500_000)
      var original = bytes
      var request = HTTPTransport.Request(
        .put, "/", secret: try .taking(&original), contentType: "application/octet-stream")
      request.wantsSecret = true
      let response = try await transport.send(request)
      #expect(response.contentType == "application/octet-stream" && response.text.isEmpty)
      let echoed = try response.takeSecret()
      #expect(echoed.withUnsafeBytes { Array($0) } == bytes)
    }
  }

  @Test func secretsOfUnknownOrNoLength() async throws {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
    for (rest, expected) in [
      ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"),
      ("\r\nuntil the end", "until the end"), ("Content-Length: 0\r\n\r\n", ""),
    ] {
      try await withServer({ _ in .bytes(Array((head + rest).utf8)) }) { server in
        var request = HTTPTransport.Request(.get, "/")
        request.wantsSecret = true
        let secret = try await HTTPTransport(.unixSocket(server.path)).send(request).takeSecret()
        #expect(secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } == expected)
      }
    }
  }

  @Test func errorsOfSecretRequestsAreText() async throws {
    try await withServer({ _ in .json(404, #"{"code":404}"#) }) { server in
      var request = HTTPTransport.Request(.get, "/")
      request.wantsSecret = true
      let response = try await HTTPTransport(.unixSocket(server.path)).send(request)
      let hasSecret = response.secret != nil
      #expect(!hasSecret && response.status == 404)
      #expect(response.text == Data(#"{"code":404}"#.utf8))
    }
  }

  @Test func nobodyListens() async throws {
    let server = FakeServer { _ in .noContent }
    let path = server.path
    server.stop()
    let missing = try #require(await failure(at: path))
    #expect(missing.code == .unreachable)
    #expect(missing.message.contains("\(path): No such file or directory"))
    #expect(missing.advice.contains("Is cofferd running?"))
    let refused = "\(path)-refused"
    mkdir(String(path.dropLast("/socket".count)), 0o700)
    defer {
      unlink(refused)
      rmdir(String(path.dropLast("/socket".count)))
    }
    bindWithoutListening(refused)
    let dead = try #require(await failure(at: refused))
    #expect(dead.code == .unreachable && dead.message.contains("Connection refused"))
  }

  @Test(arguments: [
    FakeServer.Reply.bytes([]), .bytes(answer(100, "short")), .halfClosed(answer(100, "short")),
    .halfClosed([]), .bytes(Array("HTTP/1.1 200".utf8)),
  ])
  func brokenConnections(_ reply: FakeServer.Reply) async throws {
    try await withServer({ _ in reply }) { server in
      let error = try #require(await failure(at: server.path))
      #expect(error.code == .unreachable, "\(error)")
    }
  }

  @Test(arguments: [
    FakeServer.Reply.stalled([]), .stalled(Array("HTTP/1.1 200 OK\r\nContent-".utf8)),
    .stalled(answer(100, "short")),
  ])
  func silence(_ reply: FakeServer.Reply) async throws {
    try await withServer({ _ in reply }) { server in
      let error = try #require(await failure(at: server.path, timeout: .milliseconds(300)))
      #expect(error.code == .timedOut, "\(error)")
    }
  }

  @Test(arguments: ["SSH-2.0-OpenSSH_9.2\r\n", "\u{0}\u{1}\u{2}\u{3}", "HTTP/7 1\r\n\r\n"])
  func garbage(_ text: String) async throws {
    try await withServer({ _ in .bytes(Array(text.utf8)) }) { server in
      let error = try #require(await failure(at: server.path))
      #expect(error.code == .strange, "\(error)")
    }
  }

  @Test func oversizedAnswers() async {
    let large = [UInt8](repeating: 32, count: 1001)
    let chunked =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n"
      + String(repeating: " ", count: 1001) + "\r\n0\r\n\r\n"
    for reply in [FakeServer.Reply.answer(200, large), .bytes(Array(chunked.utf8))] {
      await withServer({ _ in reply }) { server in
        #expect(await failure(at: server.path)?.code == .tooLarge)
        #expect(await failure(at: server.path, secret: true)?.code == .tooLarge)
        #expect(await failure(at: server.path, bodyBound: 1001) == nil)
      }
    }
  }

  @Test func manyAtOnce() async throws {
    try await withServer({ .answer(200, $0.body) }) { server in
      let transport = HTTPTransport(.unixSocket(server.path))
      let sum = try await withThrowingTaskGroup(of: Int.self) { group in
        for number in 0..<100 {
          group.addTask {
            let request = HTTPTransport.Request(.post, "/", json: [number])
            return try await transport.send(request).document([Int].self)[0]
          }
        }
        return try await group.reduce(0, +)
      }
      #expect(sum == 4950)
    }
  }

  @Test func headersWithLineBreaksAreNotSent() async throws {
    try await withServer({ _ in .noContent }) { server in
      var request = HTTPTransport.Request(.get, "/")
      request.headers["X-Project-Id"] = "a\r\nX-Other: b"
      do {
        _ = try await HTTPTransport(.unixSocket(server.path)).send(request).status
        Issue.record("sent")
      } catch let error as HTTPTransportError {
        #expect(error.code == .invalidRequest)
      }
      #expect(server.requests.isEmpty)
    }
  }

  @Test func onlySafeURLs() {
    #expect(HTTPEndpoint(url: "https://key-manager.example/")?.description.last == "e")
    #expect(HTTPEndpoint(url: "http://127.0.0.1:9311") != nil)
    #expect(HTTPEndpoint(url: "http://localhost/key-manager") != nil)
    for url in [
      "http://key-manager.example", "http://localhost.example", "http://127.0.0.1@example",
      "ftp://localhost", "https://", "file:///etc/passwd", "",
    ] {
      #expect(HTTPEndpoint(url: url) == nil, "\(url)")
    }
  }
}

/// Leaves a socket behind as a dead process does.
private func bindWithoutListening(_ path: String) {
  let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
  defer { close(number) }
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
  _ = withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
}
