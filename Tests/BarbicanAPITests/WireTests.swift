import BarbicanAPI
import FoundationEssentials
import KeyManager
import Testing

/// Answers of a Barbican 23.0.0, with their members sorted and the white space taken out.
private let base = "http://127.0.0.1:9311"
private let withoutPayload =
  #"{"algorithm":null,"bit_length":null,"created":"2026-11-21T02:33:23.162241","creator_id":"u1","#
  + #""expiration":null,"mode":null,"name":null,"#
  + #""secret_ref":"http://127.0.0.1:9311/v1/secrets/cba33429-08c9-44cd-abac-d814d1c5f966","#
  + #""secret_type":"symmetric","status":"ACTIVE","updated":"2026-11-21T02:33:23.257543"}"#
private let withPayload =
  #"{"algorithm":"aes","bit_length":256,"consumers":[],"#
  + #""content_types":{"default":"application/octet-stream"},"#
  + #""created":"2026-11-21T02:33:23.162241","creator_id":"u1","expiration":null,"mode":"xts","#
  + #""name":"n","secret_ref":"http://127.0.0.1:9311/v1/secrets/cba33429-08c9-44cd-abac-d814d1c5f966","#
  + #""secret_type":"symmetric","status":"ACTIVE","updated":"2026-11-21T02:33:23.257543"}"#
private let activeOrder =
  #"{"created":"2026-11-21T02:33:23.466487","creator_id":"u1","#
  + #""meta":{"algorithm":"aes","bit_length":256,"expiration":null,"name":null},"#
  + #""order_ref":"http://127.0.0.1:9311/v1/orders/226577a2-2bbb-4b52-b59f-e8747c012a87","#
  + #""secret_ref":"http://127.0.0.1:9311/v1/secrets/3f62fb3a-75c5-4966-aca2-b3fef869c974","#
  + #""status":"ACTIVE","sub_status":"Unknown","sub_status_message":"Unknown","type":"key","#
  + #""updated":"2026-11-21T02:33:23.486844"}"#
private let failedOrder =
  #"{"created":"2026-11-21T02:33:23.658660","creator_id":"u1","#
  + #""error_reason":"Process TypeOrder issue seen - Secret generate supported plugin not found..","#
  + #""error_status_code":"400","#
  + #""meta":{"algorithm":"foo","bit_length":512,"expiration":null,"name":"n"},"#
  + #""order_ref":"http://127.0.0.1:9311/v1/orders/a2e0873b-c5b3-41e0-98d5-83ed3bc23654","#
  + #""status":"ERROR","type":"key","updated":"2026-11-21T02:33:23.683750"}"#
private let page =
  #"{"next":"http://127.0.0.1:9311/v1/secrets?limit=1&offset=2","#
  + #""previous":"http://127.0.0.1:9311/v1/secrets?limit=1&offset=0","#
  + #""secrets":[\#(withoutPayload)],"total":6}"#

private func decode<Document: Decodable>(_ text: String) throws -> Document {
  try JSONText.decode(Document.self, from: Data(text.utf8))
}

private func encode(_ document: some Encodable) throws -> String {
  String(decoding: try JSONText.encode(document), as: UTF8.self)
}

private func sameAgain<Document: Codable>(_ type: Document.Type, _ text: String) throws {
  let document: Document = try decode(text)
  #expect(try encode(document) == text)
}

@Suite struct WireTests {
  @Test func documentsComeOutAsTheyWentIn() throws {
    try sameAgain(SecretDocument.self, withoutPayload)
    try sameAgain(SecretDocument.self, withPayload)
    try sameAgain(SecretList.self, page)
    try sameAgain(SecretList.self, #"{"secrets":[],"total":0}"#)
    try sameAgain(OrderDocument.self, activeOrder)
    try sameAgain(OrderDocument.self, failedOrder)
    try sameAgain(SecretReference.self, #"{"secret_ref":"http://127.0.0.1:9311/v1/secrets/x"}"#)
    try sameAgain(OrderReference.self, #"{"order_ref":"http://127.0.0.1:9311/v1/orders/x"}"#)
  }

  @Test func nullAndAbsentAreTold() throws {
    let document: SecretDocument = try decode(withoutPayload)
    #expect(document.name == nil && document.contentTypes == nil && document.consumers == nil)
    let other: SecretDocument = try decode(withPayload)
    #expect(other.contentTypes == ["default": "application/octet-stream"])
    #expect(other.consumers == [])
  }

  @Test func requestsLeaveOutWhatIsNotGiven() throws {
    #expect(try encode(SecretCreation()) == "{}")
    #expect(
      try encode(OrderCreation(meta: OrderMeta(algorithm: "aes", bitLength: 256)))
        == #"{"meta":{"algorithm":"aes","bit_length":256},"type":"key"}"#)
    let creation: SecretCreation = try decode(
      #"{"name":null,"secret_type":"opaque","payload":"AAEC/w==","#
        + #""payload_content_type":"application/octet-stream","payload_content_encoding":"base64"}"#
    )
    #expect(creation.name == nil && creation.secretType == .opaque)
    #expect(creation.payload == "AAEC/w==" && creation.payloadContentEncoding == "base64")
  }

  @Test func versionsAreBarbicans() throws {
    let links =
      #""links":[{"href":"http://127.0.0.1:9311/v1/","rel":"self"},"#
      + #"{"href":"https://docs.openstack.org/","rel":"describedby","type":"text/html"}]"#
    let stable =
      #"{"id":"v1",\#(links),"media-types":[{"base":"application/json","#
      + #""type":"application/vnd.openstack.key-manager-v1+json"}],"status":"stable"}"#
    let current =
      #"{"id":"v1",\#(links),"max_version":"1.2","min_version":"1.0","status":"CURRENT"}"#
    #expect(
      try encode(VersionsDocument(versions: [.current(base: base)]))
        == #"{"versions":[\#(current)]}"#)
    #expect(
      try encode(StableVersionsDocument(versions: [.stable(base: base)]))
        == #"{"versions":{"values":[\#(stable)]}}"#)
    #expect(
      try encode(SingleVersionDocument(version: .stable(base: base)))
        == #"{"version":\#(stable)}"#)
  }

  @Test func wrongDocumentsAreRefused() {
    func decodes<Document: Decodable>(_ type: Document.Type, _ text: String) -> Bool {
      (try? decode(text) as Document) != nil
    }
    #expect(!decodes(SecretCreation.self, #"{"bit_length":"12"}"#))
    #expect(!decodes(SecretCreation.self, #"{"secret_type":"gold"}"#))
    #expect(!decodes(SecretCreation.self, #"{"bit_length":12"#))
    #expect(!decodes(OrderCreation.self, #"{"type":"key"}"#))
    let date = withoutPayload.replacing("2026-11-21T02:33:23.162241", with: "yesterday")
    #expect(!decodes(SecretDocument.self, date))
  }

  @Test func keysAndDocumentsAreTheSame() throws {
    let document: SecretDocument = try decode(withPayload)
    let record = try #require(document.record(project: "p1"))
    #expect(record.id.description == "cba33429-08c9-44cd-abac-d814d1c5f966")
    #expect(record.project == "p1" && record.creator == "u1" && record.hasValue)
    #expect(record.attributes.bitLength == 256 && record.attributes.mode == "xts")
    var again = SecretDocument(record, secretRef: document.secretRef)
    again.consumers = []
    #expect(again == document)
    let empty: SecretDocument = try decode(withoutPayload)
    #expect(empty.record(project: "p1")?.hasValue == false)
    #expect(KeyID(secretRef: "http://h/v1/secrets/not-an-id") == nil)
    #expect(KeyID(secretRef: "") == nil)
  }
}

extension String {
  fileprivate func replacing(_ part: String, with other: String) -> String {
    guard let range = firstRange(of: part) else { return self }
    return self[..<range.lowerBound] + other + self[range.upperBound...]
  }
}
