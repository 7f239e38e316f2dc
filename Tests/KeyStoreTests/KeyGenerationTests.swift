import KeyManager
import Testing

@testable import KeyStore

@Suite struct KeyGenerationTests {
  @Test(
    arguments: [
      (nil, nil, nil, 32), ("aes", nil, nil, 32), ("aes", 128, nil, 16), ("AES", 192, "cbc", 24),
      ("aes", 256, nil, 32), ("aes", 512, nil, 64), ("aes", 256, "xts", 32),
      ("aes", 512, "XTS", 64),
      ("des", 64, nil, 8), ("3des", 192, nil, 24), ("hmacsha1", 64, nil, 8),
      ("hmacsha256", 256, nil, 32), ("HMACSHA384", 384, nil, 48), ("hmacsha512", 512, nil, 64),
    ] as [(String?, Int?, String?, Int)])
  func makesKeys(_ algorithm: String?, _ bits: Int?, _ mode: String?, _ count: Int) async throws {
    let directory = try TemporaryDirectory()
    let manager = try await directory.open()
    let attributes = KeyAttributes(algorithm: algorithm, bitLength: bits, mode: mode)
    let ids = [
      try await manager.createKey(attributes, context: alice),
      try await manager.createKey(attributes, context: alice),
    ]
    let values = [try await manager.value(ids[0]), try await manager.value(ids[1])]
    #expect(values.map(\.count) == [count, count])
    #expect(values[0] != values[1])
    let record = try await manager.record(of: ids[0], context: alice)
    #expect(record.attributes.algorithm == algorithm ?? "aes")
    #expect(record.attributes.bitLength == bits ?? 256)
    #expect(record.attributes.type == .symmetric)
  }

  @Test(
    arguments: [
      ("aes", 0, nil), ("aes", -256, nil), ("aes", 127, nil), ("aes", 64, nil), ("aes", 1024, nil),
      ("aes", 128, "xts"), ("des", 56, nil), ("rsa", 2048, nil), ("", 256, nil), ("aes ", 256, nil),
      ("hmacsha256", 100, nil),
    ] as [(String, Int, String?)])
  func refusesBadPairs(_ algorithm: String, _ bits: Int, _ mode: String?) async throws {
    let directory = try TemporaryDirectory()
    let manager = try await directory.open()
    let attributes = KeyAttributes(algorithm: algorithm, bitLength: bits, mode: mode)
    let error = await failure { _ = try await manager.createKey(attributes, context: alice) }
    #expect(error?.code == .invalidRequest)
    #expect(try await manager.list(KeyQuery(), context: alice).total == 0)
  }

  @Test func makesSymmetricKeysAlone() throws {
    for type in SecretType.allCases where type != .symmetric {
      #expect(throws: KeyGenerationError.self) {
        try KeyGeneration.byteCount(KeyAttributes(type: type, algorithm: "aes"))
      }
    }
  }
}
