import SecretMemory
import Testing

@testable import LUKS

@Suite struct ManagedPassphraseTests {
  @Test func isLowercaseHexadecimal() throws {
    var bytes: [UInt8] = [0x00, 0x0F, 0xA5, 0xFF, 0xDE, 0xAD]
    let passphrase = try ManagedPassphrase.of(key: SecretBytes.taking(&bytes))
    let text = passphrase.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    #expect(text == "000fa5ffdead")
  }
}
