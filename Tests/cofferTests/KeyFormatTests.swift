import SecretMemory
import Testing

@testable import coffer

@Suite struct KeyFormatTests {
  private func secret(_ bytes: [UInt8]) throws -> SecretBytes {
    var bytes = bytes
    return try .taking(&bytes)
  }

  private func decode(_ format: KeyFormat, _ text: [UInt8]) throws -> [UInt8] {
    try format.decode(try secret(text)).withUnsafeBytes { Array($0) }
  }

  private static let key = Array<UInt8>(0..<32)
  private static let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
  private static let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
  private static let pem = """
    A comment
    -----BEGIN PRIVATE KEY-----
    AAECAwQFBgcICQoLDA0ODxAREhMU
    FRYXGBkaGxwdHh8=
    -----END PRIVATE KEY-----
    -----BEGIN CERTIFICATE-----
    AAAA
    -----END CERTIFICATE-----

    """

  @Test(arguments: [
    (KeyFormat.hex, hex), (.hex, hex.uppercased() + "\n"), (.base64, base64),
    (.base64, "AAECAwQFBgcICQoLDA0ODxAREhMU\r\nFRYXGBkaGxwdHh8=\r\n"), (.pem, pem),
  ])
  func guesses(format: KeyFormat, text: String) throws {
    #expect(KeyFormat.guess(try secret(Array(text.utf8))) == format)
    #expect(try decode(.auto, Array(text.utf8)) == Self.key)
    #expect(try decode(format, Array(text.utf8)) == Self.key)
  }

  @Test(arguments: [
    key, [], Array("a passphrase".utf8), Array("deadbeef".utf8), Array("0123456789abcdef".utf8),
    Array("AAECAwQFBgcICQoLDA0O DxAREhMUFRYX".utf8), Array(repeating: 0xFF, count: 64),
  ])
  func everythingElseIsRaw(bytes: [UInt8]) throws {
    #expect(try decode(.auto, bytes) == bytes)
  }

  @Test(arguments: [
    (KeyFormat.hex, "xyz"), (.hex, "abc"), (.base64, "a"), (.pem, "AAAA"),
    (.pem, "-----BEGIN X-----\nAAAA\n"), (.auto, "-----BEGIN X-----\n!\n-----END X-----\n"),
  ])
  func whatIsMalformedIsRefused(format: KeyFormat, text: String) {
    #expect(throws: (any Error).self) { try decode(format, Array(text.utf8)) }
  }
}
