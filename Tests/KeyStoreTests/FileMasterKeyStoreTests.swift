import FoundationEssentials
import Glibc
import KeyManager
import Testing

@testable import KeyStore

@Suite struct FileMasterKeyStoreTests {
  private let directory: TemporaryDirectory
  private let path: String
  private let store: FileMasterKeyStore

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.path + "/key"
    store = FileMasterKeyStore(path: path)
  }

  @Test func anEmptyStoreSaysSo() {
    #expect(throws: EmptyStoreError.self) { try store.load() }
  }

  @Test func keepsTheKey() throws {
    let key = try MasterKey.random()
    try store.save(key)
    let loaded = try store.load()
    #expect(loaded.id == key.id)
    #expect(bytes(loaded.value) == bytes(key.value))
    #expect(try mode(path) == 0o600)

    let next = try MasterKey.random()
    try store.save(next)
    #expect(try store.load().id == next.id)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["key"])
  }

  @Test func readsTheDocumentedFormat() throws {
    try write(text())
    let key = try store.load()
    #expect(key.id.description == "919108f7-52d1-4320-9bac-f847db4148a8")
    #expect(bytes(key.value) == Array(0..<32))
  }

  @Test func writesTheDocumentedFormat() throws {
    let id = try #require(MasterKeyID("919108f7-52d1-4320-9bac-f847db4148a8"))
    try store.save(MasterKey(id: id, value: try secret(Array(0..<32))))
    #expect(try String(decoding: Data(contentsOf: URL(filePath: path)), as: UTF8.self) == text())
  }

  @Test(arguments: [
    "", "\n", "coffer master key 1", "coffer master key 1\n", text(first: "coffer master key 2"),
    text(first: "\u{FEFF}coffer master key 1"), text(id: "919108F7-52D1-4320-9BAC-F847DB4148A8"),
    text(id: ""), text(protection: "scrypt"), text(key: ""), text(key: "00"),
    text(key: String(repeating: "0", count: 63)), text(key: String(repeating: "0", count: 65)),
    text(key: String(repeating: "x", count: 64)), text(key: String(repeating: " ", count: 64)),
    text() + "\n", text() + "more\n", String(text().dropLast()), String(text().dropLast(10)),
    String(repeating: "a", count: 4096), String(repeating: "a", count: 4097),
  ])
  func refusesAllElse(_ content: String) throws {
    try write(content)
    let error = #expect(throws: MasterKeyStoreError.self) { try store.load() }
    #expect(error?.description.contains(path) == true)
    #expect(error?.description.contains("00010203") == false)
  }

  @Test(arguments: [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666, 0o777] as [mode_t])
  func refusesAFileOpenToOthers(_ mode: mode_t) throws {
    try store.save(MasterKey.random())
    try #require(chmod(path, mode) == 0)
    try expectUnsafe("chmod 600")
  }

  @Test func refusesAnotherUsersFile() throws {
    try store.save(MasterKey.random())
    try #require(chown(path, 1234, 0) == 0)
    try expectUnsafe("1234")
  }

  @Test func refusesWhatIsNoPlainFile() throws {
    let real = directory.path + "/real"
    try FileMasterKeyStore(path: real).save(MasterKey.random())
    try #require(symlink(real, path) == 0)
    try expectUnsafe("symbolic link")
    unlink(path)
    try #require(link(real, path) == 0)
    try expectUnsafe("hard links")
    unlink(path)
    try #require(mkfifo(path, 0o600) == 0)
    try expectUnsafe("regular file")
    unlink(path)
    try #require(mkdir(path, 0o700) == 0)
    try expectUnsafe("regular file")
  }

  /// Killed while saving: the old key is there whole, and the next save works.
  @Test func aCutShortSaveHarmsNothing() throws {
    let key = try MasterKey.random()
    try store.save(key)
    try Data("coffer mas".utf8).write(to: URL(filePath: path + ".new"))
    #expect(try store.load().id == key.id)
    let next = try MasterKey.random()
    try store.save(next)
    #expect(try store.load().id == next.id)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["key"])
  }

  private func expectUnsafe(
    _ part: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    do {
      _ = try store.load()
      Issue.record("it was taken", sourceLocation: sourceLocation)
    } catch MasterKeyStoreError.unsafe(let text) {
      #expect(text.contains(part), sourceLocation: sourceLocation)
      #expect(text.contains(path), sourceLocation: sourceLocation)
    }
  }

  private func write(_ text: String) throws {
    try Data(text.utf8).write(to: URL(filePath: path))
    try #require(chmod(path, 0o600) == 0)
  }

  private func mode(_ path: String) throws -> mode_t {
    var status = stat()
    try #require(stat(path, &status) == 0)
    return status.st_mode & 0o7777
  }
}

private func text(
  first: String = "coffer master key 1", id: String = "919108f7-52d1-4320-9bac-f847db4148a8",
  protection: String = "none",
  key: String = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
) -> String {
  "\(first)\nid: \(id)\nprotection: \(protection)\nkey: \(key)\n"
}
