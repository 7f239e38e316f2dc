import FoundationEssentials
import Glibc
import KeyManager
import SecretMemory
import Testing

@testable import KeyStore

/// The master key under a passphrase, and as a credential.
@Suite struct PassphraseTests {
  private let directory: TemporaryDirectory
  private var path: String { directory.path + "/master.key" }

  init() throws {
    directory = try TemporaryDirectory()
  }

  private func passphrase(_ text: String) throws -> Passphrase { Passphrase(try secret(text)) }

  private func write(_ text: String, _ name: String, mode: mode_t = 0o600) throws -> String {
    let path = "\(directory.path)/\(name)"
    try Data(text.utf8).write(to: URL(filePath: path))
    chmod(path, mode)
    return path
  }

  /// RFC 7914, section 12.
  @Test(arguments: [
    (
      "password", "NaCl", 10, 8, 16,
      "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830da"
        + "c727afb94a83ee6d8360cbdfa2cc0640"
    ),
    (
      "pleaseletmein", "SodiumChloride", 14, 8, 1,
      "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9"
        + "e61e85dc0d651e40dfcf017b45575887"
    ),
  ])
  func scryptsKnownAnswers(
    password: String, salt: String, logCost: Int, blockSize: Int, parallelization: Int,
    answer: String
  ) throws {
    let scrypt = Scrypt(
      logCost: logCost, blockSize: blockSize, parallelization: parallelization,
      salt: Array(salt.utf8))
    let key = bytes(try scrypt.key(from: try secret(password), count: 64))
    #expect(key == bytes(hex: answer))
  }

  @Test func thePassphraseOpensWhatItProtects() throws {
    let store = FileMasterKeyStore(path: path, passphrase: try passphrase("open sesame"))
    let key = try MasterKey.random()
    try store.save(key)
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.contains("\nprotection: scrypt 17 8 1 "))
    let plain = bytes(key.value).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    #expect(!text.contains(plain))
    let loaded = try store.load()
    #expect(loaded.id == key.id)
    #expect(bytes(loaded.value) == bytes(key.value))
    let saved = try #require(try store.saved())
    #expect(saved <= .now())

    for other in [try passphrase("open sesam"), nil] {
      do {
        _ = try FileMasterKeyStore(path: path, passphrase: other).load()
        Issue.record("it opened")
      } catch MasterKeyStoreError.locked(let text) {
        #expect(text.contains(path))
      }
    }
  }

  /// Whoever can write to the file must not take the passphrase away or make it cheap.
  @Test(arguments: [
    ("id: ", "id: 919108f7-52d1-4320-9bac-f847db4148a8\nid: "), ("17 8 1", "14 8 1"),
    ("17 8 1", "99 8 1"), ("scrypt", "none"), ("scrypt", "bcrypt"), ("key: 01", "key: 02"),
  ])
  func aChangedFileDoesNotOpen(old: String, new: String) throws {
    let store = FileMasterKeyStore(path: path, passphrase: try passphrase("p"))
    try store.save(try MasterKey.random())
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.contains(old))
    _ = try write(text.replacing(old, with: new, maxReplacements: 1), "master.key")
    #expect(throws: MasterKeyStoreError.self) { try store.load() }
  }

  @Test func aPlainFileIsNotTakenForAProtectedOne() throws {
    try FileMasterKeyStore(path: path).save(try MasterKey.random())
    let store = FileMasterKeyStore(path: path, passphrase: try passphrase("p"))
    #expect(throws: MasterKeyStoreError.self) { try store.load() }
  }

  @Test func aKeyManagerLivesUnderIt() async throws {
    let store = FileMasterKeyStore(path: path, passphrase: try passphrase("p"))
    var manager = try await LocalKeyManager.open(directory: directory.keys, masterKeys: store)
    let id = try await manager.store("value", context: alice)
    let first = try await manager.masterKeyStatus()
    #expect(first.projects == 1)
    #expect(first.store == path)
    let renewed = try await manager.renewMasterKey()
    try await manager.close()
    manager = try await LocalKeyManager.open(directory: directory.keys, masterKeys: store)
    #expect(try await manager.masterKeyStatus().id == renewed)
    #expect(try await manager.text(id) == "value")
    try await manager.close()
    let wrong = FileMasterKeyStore(path: path, passphrase: try passphrase("q"))
    let error = await failure {
      _ = try await LocalKeyManager.open(directory: directory.keys, masterKeys: wrong)
    }
    #expect(error?.code == .unavailable)
  }

  @Test func thePassphrasesFileIsPrivate() throws {
    let good = try write("secret words\n", "p")
    #expect(bytes(try Passphrase.read(file: good).bytes) == Array("secret words".utf8))
    for (text, mode) in [("words", 0o644), ("", 0o600), ("\n", 0o600)] as [(String, mode_t)] {
      let bad = try write(text, "q", mode: mode)
      #expect(throws: MasterKeyStoreError.self) { try Passphrase.read(file: bad) }
    }
    let long = try write(String(repeating: "p", count: 4097), "r")
    #expect(throws: MasterKeyStoreError.self) { try Passphrase.read(file: long) }
    #expect(throws: EmptyStoreError.self) { try Passphrase.read(file: "\(directory.path)/none") }
  }

  @Test func aFirstMasterKeyIsNeverMadeTwice() throws {
    let store = FileMasterKeyStore(path: path)
    let id = try store.makeFirst()
    #expect(throws: MasterKeyStoreError.self) { try store.makeFirst() }
    #expect(try store.load().id == id)
  }

  @Test func aCredentialIsReadAndNeverWritten() async throws {
    let id = try FileMasterKeyStore(path: path).makeFirst()
    chmod(path, 0o400)
    setenv("CREDENTIALS_DIRECTORY", directory.path, 1)
    defer { unsetenv("CREDENTIALS_DIRECTORY") }
    let store = try CredentialMasterKeyStore(name: "master.key")
    #expect(try store.load().id == id)
    let manager = try await LocalKeyManager.open(directory: directory.keys, masterKeys: store)
    let key = try await manager.store("value", context: alice)
    let error = await failure { try await manager.renewMasterKey() }
    #expect(error?.message.contains("is a credential") == true)
    #expect(try await manager.masterKeyStatus().id == id)
    try await manager.close()
    let reopened = try await LocalKeyManager.open(directory: directory.keys, masterKeys: store)
    #expect(try await reopened.text(key) == "value")
  }
}
