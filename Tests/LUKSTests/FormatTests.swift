import Glibc
import SecretMemory
import Testing

@testable import LUKS

@Suite struct FormatTests {
  @Test func managedKeyOpensWhatItWasMadeWith() async throws {
    var template = Array("/tmp/coffer-luks-XXXXXX".utf8CString)
    let number = mkstemp(&template)
    try #require(number >= 0)
    close(number)
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { unlink(path) }
    var bytes = (0..<32).map { UInt8($0) }
    let key = try SecretBytes.taking(&bytes)
    let passphrase = try ManagedPassphrase.of(key: key)
    let image = try await LUKSImage.format(
      path: path, size: 8 << 20, managedPassphrase: passphrase, keyID: "k", volumeID: "v")
    let volumeKey = try await image.unlock(passphrase: passphrase)
    #expect(volumeKey.keyslot == 0)
    #expect(await image.token == ManagedToken(keyslots: [0], keyID: "k", volumeID: "v"))
  }
}
