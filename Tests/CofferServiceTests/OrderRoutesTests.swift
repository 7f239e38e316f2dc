import BarbicanAPI
import Testing

@Suite struct OrderRoutesTests {
  static let order = #"{"type":"key","meta":{"name":"n","algorithm":"aes","bit_length":256}}"#

  private func makeOrder(_ service: TestService, _ json: String = order) async throws -> String {
    let answer = try await service.post("/v1/orders/", json)
    #expect(answer.status == 202)
    let reference = try answer.json(OrderReference.self).orderRef
    #expect(reference == answer.headers["location"])
    return try #require(answer.location)
  }

  @Test func anOrderMakesAKey() async throws {
    try await withService { service in
      let id = try await makeOrder(service)
      let answer = try await service.ask("GET", "/v1/orders/\(id)")
      #expect(answer.status == 200)
      let order = try answer.json(OrderDocument.self)
      #expect(order.status == "ACTIVE")
      #expect(order.type == "key")
      #expect(order.creatorID == "uid-0")
      #expect(order.orderRef == "http://localhost/v1/orders/\(id)")
      #expect(order.meta == OrderMeta(name: "n", algorithm: "aes", bitLength: 256))
      #expect(!answer.text.contains("error"))
      let secret = try #require(order.secretRef?.dropFirst("http://localhost".count))
      let key = try await service.ask("GET", String(secret)).json(SecretDocument.self)
      #expect(key.name == "n")
      #expect(key.secretType == .symmetric)
      #expect(key.bitLength == 256)
      let payload = try await service.ask("GET", "\(secret)/payload")
      #expect(payload.body.count == 32)
    }
  }

  @Test func deleteLeavesTheKey() async throws {
    try await withService { service in
      let id = try await makeOrder(service)
      #expect(try await service.ask("DELETE", "/v1/orders/\(id)").status == 204)
      for method in ["DELETE", "GET"] {
        let answer = try await service.ask(method, "/v1/orders/\(id)")
        #expect(answer.status == 404)
        #expect(answer.explanation == "Order not found.")
      }
      let keys = try await service.ask("GET", "/v1/secrets").json(SecretList.self)
      #expect(keys.total == 1)
    }
  }

  @Test func ordersAreListedInPages() async throws {
    struct List: Decodable {
      var orders: [OrderDocument]
      var total: Int
      var next: String?
      var previous: String?
    }
    try await withService { service in
      for number in 1...3 {
        _ = try await makeOrder(
          service,
          #"{"type":"key","meta":{"name":"n\#(number)","algorithm":"aes","bit_length":128}}"#)
      }
      let list = try await service.ask("GET", "/v1/orders?limit=1&offset=1").json(List.self)
      #expect(list.orders.map(\.meta.name) == ["n2"])
      #expect(list.total == 3)
      #expect(list.next == "http://localhost/v1/orders?limit=1&offset=2")
      #expect(list.previous == "http://localhost/v1/orders?limit=1&offset=0")
    }
  }

  /// Barbican takes an order that it cannot carry out, and says so in the order.
  @Test func anOrderThatCannotBeCarriedOutSaysWhy() async throws {
    try await withService { service in
      let id = try await makeOrder(
        service, #"{"type":"key","meta":{"algorithm":"rot13","bit_length":256}}"#)
      let order = try await service.ask("GET", "/v1/orders/\(id)").json(OrderDocument.self)
      #expect(order.status == "ERROR")
      #expect(order.errorStatusCode == "400")
      #expect(order.errorReason?.isEmpty == false)
      #expect(order.secretRef == nil)
    }
  }

  @Test(arguments: [
    (#"{"meta":{"algorithm":"aes","bit_length":256}}"#, "the member 'type' is missing"),
    (#"{"type":"key"}"#, "the member 'meta' is missing"),
    (#"{"type":"asymmetric","meta":{"algorithm":"rsa","bit_length":2048}}"#, "'asymmetric'"),
    (#"{"type":"key","meta":{"bit_length":256}}"#, "'algorithm' is required"),
    (#"{"type":"key","meta":{"algorithm":"aes"}}"#, "'bit_length' is required"),
    (#"{"type":"key","meta":{"algorithm":"aes","bit_length":255}}"#, "multiple of 8"),
    (#"{"type":"key","meta":{"algorithm":"aes","bit_length":"256"}}"#, "meta.bit_length"),
    (#"{"type":"key","meta":{"algorithm":"aes","bit_length":-8}}"#, "multiple of 8"),
    ("nonsense", "Malformed JSON"),
  ])
  func aMalformedOrderIsRefused(body: String, reason: String) async throws {
    try await withService { service in
      let answer = try await service.post("/v1/orders", body)
      #expect(answer.status == 400)
      #expect(answer.explanation?.contains(reason) == true, "\(answer.text)")
    }
  }

  @Test func anUnknownOrderIsNotFound() async throws {
    try await withService { service in
      for id in ["00000000-0000-4000-8000-000000000000", "nonsense"] {
        let answer = try await service.ask("GET", "/v1/orders/\(id)")
        #expect(answer.status == 404)
        #expect(answer.explanation == "Order not found.")
      }
    }
  }
}
