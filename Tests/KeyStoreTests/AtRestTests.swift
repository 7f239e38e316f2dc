import FoundationEssentials
import KeyManager
import Testing

@testable import KeyStore

/// No file but the master key's holds a key's bytes, neither as they are nor as text.
@Suite struct AtRestTests {
  @Test func noPlaintextInAnyFile() async throws {
    let directory = try TemporaryDirectory()
    let manager = try await directory.open()
    let masterKeys = FileMasterKeyStore(path: directory.masterKey)
    var secrets: [[UInt8]] = [bytes(try masterKeys.load().value)]
    var ids: [KeyID] = []
    for count in [16, 32, 64, 20_000] {
      let value = (0..<count).map { _ in UInt8.random(in: 0...255) }
      let id = try await manager.store(try secret(value), KeyAttributes(), context: alice)
      ids += [id, try await manager.copy(id, name: "copy", context: alice)]
      secrets.append(Array(value.prefix(64)))
    }
    let made = try await manager.createKey(KeyAttributes(bitLength: 512), context: alice)
    secrets.append(try await manager.value(made))
    let late = try await manager.store(nil, KeyAttributes(), context: alice)
    let text = Array("a passphrase that a person chose".utf8)
    try await manager.setValue(
      of: late, to: try secret(text), contentType: "text/plain", context: alice)
    secrets.append(text)
    secrets.append(
      try await manager.database.read { db in
        let project = ProjectKeys.Project(number: 1, name: alice.project)
        return bytes(try manager.projectKeys.key(of: project, db).value)
      })
    try search(directory, secrets)

    try await manager.renewMasterKey()
    secrets.append(bytes(try masterKeys.load().value))
    try await manager.delete(ids[0], context: alice)
    try search(directory, secrets)
    try await manager.close()
    try search(directory, secrets)
  }

  /// The search itself finds what is there.
  @Test func theMasterKeyIsFoundWhereItIs() async throws {
    let directory = try TemporaryDirectory()
    try await directory.open().close()
    let key = bytes(try FileMasterKeyStore(path: directory.masterKey).load().value)
    let file = try #require(try directory.files()["master.key"])
    #expect(forms(key).contains { find($0, in: file) })
  }

  /// A wrapped value is overwritten in the database when its key is deleted.
  @Test func deletedRowsAreOverwritten() async throws {
    let directory = try TemporaryDirectory()
    let manager = try await directory.open()
    let id = try await manager.store(
      try secret([UInt8](repeating: 7, count: 10_000)), KeyAttributes(), context: alice)
    let stored: [String] = try directory.query("SELECT hex(wrapped) FROM secrets")
    let wrapped = Array(bytes(hex: stored[0])[500..<600])
    try await manager.close()
    #expect(find(wrapped, in: try #require(try directory.files()["keys.db"])))
    let reopened = try await directory.open()
    try await reopened.delete(id, context: alice)
    try await reopened.close()
    for (name, content) in try directory.files() {
      #expect(!find(wrapped, in: content), "\(name)")
    }
  }

  private func search(_ directory: TemporaryDirectory, _ secrets: [[UInt8]]) throws {
    let files = try directory.files().filter { $0.key != "master.key" }
    #expect(files.values.contains { $0.count > 20_000 })
    for (name, content) in files {
      for secret in secrets {
        for form in forms(secret) { #expect(!find(form, in: content), "\(name)") }
      }
    }
  }

  /// A piece of the bytes as they are, in hexadecimal of either case, and in base64.
  private func forms(_ secret: [UInt8]) -> [[UInt8]] {
    let hex = secret.map { byte in
      let digits = String(byte, radix: 16)
      return digits.count == 1 ? "0" + digits : digits
    }.joined()
    let base64 = Data(secret).base64EncodedString()
    return [Array(secret.prefix(16))]
      + [hex, hex.uppercased(), base64].map { Array($0.utf8.prefix(20)) }
  }

  private func find(_ part: [UInt8], in whole: [UInt8]) -> Bool {
    Data(whole).range(of: Data(part)) != nil
  }
}
