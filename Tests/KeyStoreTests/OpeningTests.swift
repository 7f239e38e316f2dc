import FoundationEssentials
import GRDB
import Glibc
import KeyManager
import Testing

@testable import KeyStore

@Suite struct OpeningTests {
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
  }

  @Test func makesPrivateFiles() async throws {
    let manager = try await directory.open()
    _ = try await manager.store("x")
    #expect(try mode("") == 0o700)
    let names = try FileManager.default.contentsOfDirectory(atPath: directory.keys).sorted()
    #expect(names == ["keys.db", "keys.db-shm", "keys.db-wal", "keys.lock", "master.key"])
    for name in names { #expect(try mode("/" + name) == 0o600, "\(name)") }
    try await manager.close()
  }

  @Test func writesDurably() async throws {
    let manager = try await directory.open()
    let settings = try manager.database.onWriter { db in
      try ["synchronous", "secure_delete", "cell_size_check", "foreign_keys"].map {
        try Int.fetchOne(db, sql: "PRAGMA \($0)")
      }
    }
    #expect(settings == [2, 1, 1, 1])
    let journal = try manager.database.onWriter {
      try String.fetchOne($0, sql: "PRAGMA journal_mode")
    }
    #expect(journal == "wal")
    try await manager.close()
  }

  @Test func oneProcessAtATime() async throws {
    let manager = try await directory.open()
    let error = await failure {
      _ = try await LocalKeyManager.open(
        directory: directory.keys, patience: 0.1, now: Timestamp.now)
    }
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("another key manager") == true)
    try await manager.close()
    try await directory.open().close()
  }

  @Test(arguments: ["", "/keys.db"]) func refusesWhatIsOpenToOthers(_ name: String) async throws {
    try await directory.open().close()
    try #require(chmod(directory.keys + name, 0o755) == 0)
    let error = await failure { _ = try await directory.open() }
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("chmod") == true)
  }

  @Test(arguments: ["", "/keys.db"]) func refusesWhatIsAnothers(_ name: String) async throws {
    try await directory.open().close()
    try #require(chown(directory.keys + name, 1234, 0) == 0)
    let error = await failure { _ = try await directory.open() }
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("1234") == true)
  }

  @Test func aMissingParentIsAnError() async throws {
    let error = await failure {
      _ = try await LocalKeyManager.open(directory: directory.path + "/no/keys")
    }
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("No such file") == true)
  }

  /// A new master key would open nothing: it must not be made in silence.
  @Test func aMissingMasterKeyIsNotReplaced() async throws {
    let manager = try await directory.open()
    let id = try await manager.store("x")
    try await manager.close()
    try #require(rename(directory.masterKey, directory.path + "/away") == 0)
    let error = await failure { _ = try await directory.open() }
    #expect(error?.code == .damaged)
    #expect(error?.message.contains("the master key is missing") == true)
    #expect(!FileManager.default.fileExists(atPath: directory.masterKey))

    try #require(rename(directory.path + "/away", directory.masterKey) == 0)
    let reopened = try await directory.open()
    #expect(try await reopened.text(id) == "x")
    try await reopened.close()
  }

  @Test func anotherMasterKeyIsRefused() async throws {
    let manager = try await directory.open()
    let id = try await manager.store("x")
    try await manager.close()
    let store = FileMasterKeyStore(path: directory.masterKey)
    let right = try store.load()
    for wrong in [
      try MasterKey.random(),
      MasterKey(id: right.id, value: try RandomBytes.secret(count: 32)),
    ] {
      try store.save(wrong)
      #expect(await failure { _ = try await directory.open() }?.code == .damaged)
    }
    try store.save(right)
    let reopened = try await directory.open()
    #expect(try await reopened.text(id) == "x")
    try await reopened.close()
  }

  @Test func aMasterKeyOpenToOthersIsRefused() async throws {
    try await directory.open().close()
    try #require(chmod(directory.masterKey, 0o644) == 0)
    let error = await failure { _ = try await directory.open() }
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("mode 644") == true)
  }

  @Test func aNewerDatabaseIsLeftAlone() async throws {
    try await directory.open().close()
    try directory.edit("INSERT INTO grdb_migrations VALUES ('999')")
    let error = await failure { _ = try await directory.open() }
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("newer version") == true)
  }

  @Test func theMasterKeyMayBeElsewhere() async throws {
    let store = FileMasterKeyStore(path: directory.path + "/elsewhere")
    let manager = try await LocalKeyManager.open(directory: directory.keys, masterKeys: store)
    #expect(try await manager.masterKeyID() == store.load().id)
    try await manager.close()
    #expect(!FileManager.default.fileExists(atPath: directory.masterKey))
  }

  private func mode(_ name: String) throws -> mode_t {
    var status = stat()
    try #require(stat(directory.keys + name, &status) == 0)
    return status.st_mode & 0o7777
  }
}
