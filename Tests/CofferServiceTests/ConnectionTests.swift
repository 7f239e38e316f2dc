import BarbicanAPI
import Testing

@testable import CofferService

/// Requests as no decent client sends them; after each, the service still serves.
@Suite struct ConnectionTests {
  private func expectService(_ service: TestService) async throws {
    #expect(try await service.ask("GET", "/v1").status == 200)
  }

  @Test(arguments: [
    "nonsense\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
    "GET / HTTP/1.1\r\nbad header\r\n\r\n", "\u{0}\u{1}\u{2}\r\n\r\n",
    "POST /v1/secrets HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "POST /v1/secrets HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\nhello",
    "POST /v1/secrets HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  ])
  func whatIsNoRequestIsRefused(text: String) async throws {
    try await withService { service in
      let socket = service.socket
      let answer = try await blocking {
        let connection = try Connection(socket)
        try connection.send(text)
        connection.finishSending()
        return try connection.answer()
      }
      #expect(answer == nil || (400..<500).contains(answer!.status))
      try await expectService(service)
    }
  }

  @Test func headersHaveALimit() async throws {
    try await withService { service in
      let socket = service.socket
      let answer = try await blocking {
        let connection = try Connection(socket)
        // The service may close before all is sent.
        try? connection.send(
          "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 200_000))\r\n\r\n")
        return try connection.answer()
      }
      #expect(answer == nil || (400..<500).contains(answer!.status))
      try await expectService(service)
    }
  }

  /// A request that arrives byte by byte holds up nobody else.
  @Test func aSlowRequestIsServed() async throws {
    try await withService { service in
      let socket = service.socket
      async let slow = blocking {
        let connection = try Connection(socket)
        for byte in requestText(
          "POST", "/v1/secrets", ["Content-Type": "application/json"], body: #"{"name":"slow"}"#
        ).utf8 {
          try connection.send([byte])
        }
        return try connection.answer()
      }
      try await expectService(service)
      let answer = try await slow
      #expect(answer?.status == 201)
    }
  }

  @Test func anUnfinishedRequestChangesNothing() async throws {
    try await withService { service in
      let socket = service.socket
      let idle = try Connection(socket)
      try idle.send("POST /v1/secrets HTTP/1.1\r\nHost: a\r\nContent-Le")
      let answer = try await blocking {
        let connection = try Connection(socket)
        try connection.send(
          "POST /v1/secrets HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            + "Content-Length: 100\r\n\r\n{\"name\":\"half\"}")
        connection.finishSending()
        return try connection.answer()
      }
      #expect(answer == nil || answer!.status == 400, "\(answer?.text ?? "")")
      let list = try await service.ask("GET", "/v1/secrets").json(SecretList.self)
      #expect(list.total == 0)
      withExtendedLifetime(idle) {}
    }
  }

  @Test func aHalfClosedConnectionGetsItsAnswer() async throws {
    try await withService { service in
      let socket = service.socket
      let answer = try await blocking {
        let connection = try Connection(socket)
        try connection.send(requestText("GET", "/v1"))
        connection.finishSending()
        return try connection.answer()
      }
      #expect(answer?.status == 200)
    }
  }

  @Test func aConnectionThatIsClosedAtOnceDoesNoHarm() async throws {
    try await withService { service in
      let socket = service.socket
      try await blocking {
        for round in 0..<300 {
          let connection = try Connection(socket)
          if round % 2 == 0 { try connection.send(requestText("GET", "/v1/secrets")) }
        }
      }
      try await expectService(service)
    }
  }

  @Test func requestsFollowEachOtherOnOneConnection() async throws {
    try await withService { service in
      let socket = service.socket
      let statuses = try await blocking {
        let connection = try Connection(socket)
        let json = ["Content-Type": "application/json"]
        return try [
          requestText("GET", "/v1"), requestText("POST", "/v1/secrets", json, body: "{}"),
          requestText("POST", "/v1/secrets", json, body: String(repeating: "x", count: 100_000)),
          requestText("GET", "/v1/secrets"),
        ].map { text in
          try connection.send(text)
          return try connection.answer()?.status
        }
      }
      #expect(statuses == [200, 201, 400, 200])
    }
  }

  @Test func aChunkedBodyIsTakenAndBounded() async throws {
    try await withService { service in
      let head =
        "POST /v1/secrets HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        + "Transfer-Encoding: chunked\r\n\r\n"
      let small = try await service.ask(text: head + "5\r\n{\"nam\r\n7\r\ne\":\"c\"}\r\n0\r\n\r\n")
      #expect(small.status == 201)
      let chunk = "2000\r\n\(String(repeating: " ", count: 0x2000))\r\n"
      let large = try await service.ask(
        text: head + String(repeating: chunk, count: 5) + "0\r\n\r\n")
      #expect(large.status == 400)
    }
  }

  @Test func manyConnectionsAtOnce() async throws {
    try await withService { service in
      let socket = service.socket
      let statuses = try await blocking {
        let connections = try (0..<200).map { _ in try Connection(socket) }
        let request = requestText(
          "POST", "/v1/secrets", ["Content-Type": "application/json"],
          body: SecretRoutesTests.withPayload)
        for connection in connections { try connection.send(request) }
        return try connections.map { try $0.answer()?.status }
      }
      #expect(statuses == Array(repeating: 201, count: 200))
      let list = try await service.ask("GET", "/v1/secrets").json(SecretList.self)
      #expect(list.total == 200)
    }
  }

  @Test func anAnswerToHEADHasNoBody() async throws {
    try await withService { service in
      let socket = service.socket
      let answers = try await blocking {
        let connection = try Connection(socket)
        try connection.send(requestText("HEAD", "/v1") + requestText("GET", "/v1"))
        return try connection.everything(until: "stable")
      }
      #expect(answers.hasPrefix("HTTP/1.1 405 "))
      #expect(answers.contains("\r\n\r\nHTTP/1.1 200 "))
    }
  }

  @Test func oneUserCannotTakeAll() {
    let limit = UserLimit(2)
    #expect(limit.admit(1))
    #expect(limit.admit(1))
    #expect(!limit.admit(1))
    #expect(limit.admit(2))
    limit.release(1)
    #expect(limit.admit(1))
    for _ in 0..<10 { #expect(limit.admit(0)) }
  }
}
