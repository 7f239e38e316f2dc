import SecretMemory
import Testing

/// Known answers: RFC 4648 section 10.
@Suite struct SecretTextTests {
  @Test(arguments: [
    ("", ""), ("f", "66"), ("fo", "666f"), ("foo", "666f6f"), ("foobar", "666f6f626172"),
  ])
  func hexadecimal(plain: String, encoded: String) throws {
    let hexadecimal = text(try secret(plain).hexadecimal())
    let decoded = text(try .decodingHexadecimal(secret(encoded.uppercased())))
    #expect(hexadecimal == encoded)
    #expect(decoded == plain)
  }

  @Test(arguments: [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
    ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"), ("foobar", " Zm9v\nYmFy\n"),
  ])
  func base64(plain: String, encoded: String) throws {
    let decoded = text(try .decodingBase64(secret(encoded)))
    #expect(decoded == plain)
  }

  @Test(arguments: ["0", "0g", "zz", "0x00"])
  func malformedHexadecimal(encoded: String) {
    #expect(throws: SecretMemoryError.self) {
      _ = try SecretBytes.decodingHexadecimal(secret(encoded))
    }
  }

  @Test(arguments: ["Zg=", "Z", "Zg==Zg==", "Z===", "Zm9v!"])
  func malformedBase64(encoded: String) {
    #expect(throws: SecretMemoryError.self) {
      _ = try SecretBytes.decodingBase64(secret(encoded))
    }
  }
}
