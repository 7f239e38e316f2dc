import FoundationEssentials
import KeyManager
import Testing

@Suite struct IDTests {
  @Test func takesTheCanonicalForm() throws {
    // The version 4 example of RFC 9562, appendix A.3.
    let id = try #require(KeyID("919108f7-52d1-4320-9bac-f847db4148a8"))
    #expect(id.description == "919108f7-52d1-4320-9bac-f847db4148a8")
  }

  @Test(arguments: [
    "",
    "919108f7",
    "919108F7-52D1-4320-9BAC-F847DB4148A8",
    "919108f7-52d1-4320-9bac-f847db4148a",
    "919108f7-52d1-4320-9bac-f847db4148a80",
    "919108f752d143209bacf847db4148a8",
    "{919108f7-52d1-4320-9bac-f847db4148a8}",
    "urn:uuid:919108f7-52d1-4320-9bac-f847db4148a8",
    "919108f7-52d1-4320-9bac_f847db4148a8",
    "919108g7-52d1-4320-9bac-f847db4148a8",
    " 19108f7-52d1-4320-9bac-f847db4148a8",
    "919108f7-52d1-4320-9bac-f847db4148a8\n",
    "９19108f7-52d1-4320-9bac-f847db4148",
    // RFC 9562: version 1 (A.1), version 7 (A.6), nil (5.9), max (5.10).
    "c232ab00-9414-11ec-b3c8-9f6bdeced846",
    "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    // Another variant.
    "919108f7-52d1-4320-cbac-f847db4148a8",
    "919108f7-52d1-4320-7bac-f847db4148a8",
  ])
  func refusesAllElse(_ text: String) {
    #expect(KeyID(text) == nil)
  }

  @Test func randomOnesAreDistinctAndCanonical() {
    let ids = (0..<1000).map { _ in KeyID.random() }
    #expect(Set(ids).count == 1000)
    #expect(ids.allSatisfy { KeyID($0.description) == $0 })
  }

  @Test func codesAsText() throws {
    let id = KeyID.random()
    let json = try JSONEncoder().encode([id])
    #expect(String(decoding: json, as: UTF8.self) == "[\"\(id)\"]")
    #expect(try JSONDecoder().decode([KeyID].self, from: json) == [id])
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode([KeyID].self, from: Data("[\"x\"]".utf8))
    }
  }
}
