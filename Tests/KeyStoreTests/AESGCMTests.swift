import SecretMemory
import Testing

@testable import KeyStore

/// Known answers for AES-256-GCM with 96-bit nonces.
@Suite struct AESGCMTests {
  struct KnownAnswer: Sendable {
    let key, nonce, data, plaintext, ciphertext, tag: String
  }

  /// Test cases 13 to 16 of the GCM specification (McGrew and Viega, appendix B), and the first with
  /// associated data alone in NIST's gcmEncryptExtIV256.rsp.
  static let known = [
    KnownAnswer(
      key: zeros(32), nonce: zeros(12), data: "", plaintext: "", ciphertext: "",
      tag: "530f8afbc74536b9a963b4f1c4cb738b"),
    KnownAnswer(
      key: zeros(32), nonce: zeros(12), data: "", plaintext: zeros(16),
      ciphertext: "cea7403d4d606b6e074ec5d3baf39d18", tag: "d0d1c8a799996bf0265b98b5d48ab919"),
    KnownAnswer(
      key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
      nonce: "cafebabefacedbaddecaf888", data: "", plaintext: plaintext + "1aafd255",
      ciphertext: ciphertext + "898015ad", tag: "b094dac5d93471bdec1a502270e3cc6c"),
    KnownAnswer(
      key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
      nonce: "cafebabefacedbaddecaf888", data: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
      plaintext: plaintext, ciphertext: ciphertext, tag: "76fc6ece0f4e1768cddf8853bb2d551b"),
    KnownAnswer(
      key: "78dc4e0aaf52d935c3c01eea57428f00ca1fd475f5da86a49c8dd73d68c8e223",
      nonce: "d79cf22d504cc793c3fb6c8a", data: "b96baa8c1c75a671bfb2d08d06be5f36", plaintext: "",
      ciphertext: "", tag: "3e5d486aa2e30b22e040b85723a06e76"),
  ]
  private static let plaintext =
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
    + "b16aedf5aa0de657ba637b39"
  private static let ciphertext =
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
    + "c5f61e6393ba7a0abcc9f662"

  @Test(arguments: known) func seals(_ answer: KnownAnswer) throws {
    var sealed: [UInt8] = [1, 2, 3]
    let plaintext = try secret(bytes(hex: answer.plaintext))
    let key = try secret(bytes(hex: answer.key))
    try AESGCM.seal(
      plaintext, key: key, nonce: bytes(hex: answer.nonce),
      associatedData: bytes(hex: answer.data), to: &sealed)
    #expect(sealed == [1, 2, 3] + bytes(hex: answer.ciphertext + answer.tag))
  }

  @Test(arguments: known) func opens(_ answer: KnownAnswer) throws {
    let opened = try open(bytes(hex: answer.ciphertext + answer.tag), answer)
    #expect(opened == bytes(hex: answer.plaintext))
  }

  @Test(arguments: known) func refusesEachChangedBit(_ answer: KnownAnswer) throws {
    let sealed = bytes(hex: answer.ciphertext + answer.tag)
    for bit in 0..<sealed.count * 8 {
      var changed = sealed
      changed[bit / 8] ^= 1 << (bit % 8)
      #expect(try open(changed, answer) == nil)
    }
    for length in 0..<sealed.count {
      #expect(try open(Array(sealed[..<length]), answer) == nil)
    }
    #expect(try open(sealed, answer, extraData: [0]) == nil)
  }

  private func open(
    _ sealed: [UInt8], _ answer: KnownAnswer, extraData: [UInt8] = []
  ) throws -> [UInt8]? {
    let key = try secret(bytes(hex: answer.key))
    let opened = try AESGCM.open(
      sealed[...], key: key, nonce: bytes(hex: answer.nonce),
      associatedData: bytes(hex: answer.data) + extraData)
    guard let opened else { return nil }
    return bytes(opened)
  }

  private static func zeros(_ count: Int) -> String { String(repeating: "00", count: count) }
}

@Suite struct EnvelopeTests {
  @Test func bindsToItsData() throws {
    let key = try RandomBytes.secret(count: 32)
    let value = try secret("value")
    var data = AssociatedData(purpose: "test")
    data.append("a")
    let sealed = try Envelope.seal(value, under: key, bindingTo: data)
    let opened = try open(sealed, key, data)
    #expect(opened == Array("value".utf8))

    data.append("b")
    let otherData = try open(sealed, key, data)
    #expect(otherData == nil)
  }

  @Test func neverUsesANonceTwice() throws {
    let key = try RandomBytes.secret(count: 32)
    let value = try secret("value")
    var nonces = Set<[UInt8]>()
    for _ in 0..<1000 {
      let sealed = try Envelope.seal(value, under: key, bindingTo: AssociatedData(purpose: "test"))
      nonces.insert(Array(sealed[1..<13]))
    }
    #expect(nonces.count == 1000)
  }

  private func open(
    _ sealed: [UInt8], _ key: borrowing SecretBytes, _ data: AssociatedData
  ) throws -> [UInt8]? {
    guard let opened = try Envelope.open(sealed, under: key, bindingTo: data) else { return nil }
    return bytes(opened)
  }

  /// Fields that read the same in a row differ in their bytes.
  @Test func associatedDataIsCanonical() {
    let lists: [[String?]] = [
      [], [nil], [""], ["", ""], [nil, nil], ["ab"], ["a", "b"], ["ab", ""], ["", "ab"],
      ["a", nil, "b"],
      ["\u{1}"], ["\u{0}"],
    ]
    let encoded = lists.map { list in
      var data = AssociatedData(purpose: "test")
      list.forEach { data.append($0) }
      return data.bytes
    }
    #expect(Set(encoded).count == lists.count)
  }
}
