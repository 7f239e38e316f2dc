import Foundation
import GRDB
import Glibc
import KeyManager
import Testing

@testable import KeyStore

/// A database that is locked, full or damaged: a clear error, and nothing half-written.
@Suite struct FailureTests {
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
  }

  @Test func lockedByAnotherProcess() async throws {
    let manager = try await LocalKeyManager.open(
      directory: directory.keys, patience: 0.1, now: Timestamp.now)
    let id = try await manager.store("x")
    let holder = try LockHolder(directory.database, "BEGIN IMMEDIATE")
    let errors = [
      await failure { _ = try await manager.store("y") },
      await failure { _ = try await manager.copy(id, name: nil, context: alice) },
      await failure { try await manager.delete(id, context: alice) },
      await failure { try await manager.renewMasterKey() },
    ]
    for error in errors {
      #expect(error?.code == .unavailable)
      #expect(error?.message.contains("locked by another process") == true)
      #expect(error?.message.contains(directory.database) == true)
    }
    #expect(try await manager.text(id) == "x", "readers are not in the way of a writer")
    holder.end()
    #expect(try await manager.list(KeyQuery(), context: alice).total == 1)
    _ = try await manager.store("y")
    try await manager.close()
  }

  @Test func lockedWhileOpening() async throws {
    let manager = try await directory.open()
    let id = try await manager.store("x")
    try await manager.close()
    let holder = try LockHolder(
      directory.database, "PRAGMA locking_mode = EXCLUSIVE", "BEGIN IMMEDIATE")
    let error = await failure {
      _ = try await LocalKeyManager.open(
        directory: directory.keys, patience: 0.1, now: Timestamp.now)
    }
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("locked by another process") == true)
    holder.end()
    let reopened = try await directory.open()
    #expect(try await reopened.text(id) == "x")
    try await reopened.close()
  }

  @Test func diskFull() async throws {
    let disk = try SmallDisk(kibibytes: 1024)
    let manager = try await LocalKeyManager.open(directory: disk.path + "/keys")
    var stored: [KeyID] = []
    var refusal: KeyManagerError?
    while refusal == nil, stored.count < 1000 {
      do {
        let value = [UInt8](repeating: UInt8(stored.count % 256), count: 20_000)
        stored.append(
          try await manager.store(try secret(value), KeyAttributes(), context: alice))
      } catch let error as KeyManagerError {
        refusal = error
      }
    }
    #expect(stored.count > 5)
    #expect(refusal?.code == .internalFailure)
    #expect(refusal?.message.contains("full") == true, "\(String(describing: refusal))")
    let renewal = await failure { try await manager.renewMasterKey() }
    #expect(renewal != nil)

    func expectAll(_ manager: LocalKeyManager) async throws {
      #expect(try await manager.list(KeyQuery(), context: alice).total == stored.count)
      for (index, id) in stored.enumerated() {
        let value = try await manager.value(id)
        #expect(value == Array(repeating: UInt8(index % 256), count: 20_000))
      }
    }
    try await expectAll(manager)
    try await manager.close()
    try disk.grow(kibibytes: 4096)
    let reopened = try await LocalKeyManager.open(directory: disk.path + "/keys")
    try await expectAll(reopened)
    _ = try await reopened.store("room again")
    try await reopened.renewMasterKey()
    #expect(try await reopened.list(KeyQuery(), context: alice).total == stored.count + 1)
    try await reopened.close()
  }

  @Test func noDatabaseAtAll() async throws {
    try await directory.open().close()
    try overwrite(Array("this is not a database, is it?".utf8))
    let error = await failure { _ = try await directory.open() }
    #expect(error?.code == .damaged)
    #expect(error?.message.contains(directory.database) == true)
    #expect(error?.message.contains("backup") == true)
  }

  /// Whatever bytes are overwritten, a key is served as it was stored, or not at all.
  @Test func damagedPages() async throws {
    let manager = try await directory.open()
    var texts: [KeyID: String] = [:]
    for index in 0..<40 {
      let text = String(repeating: "value \(index) ", count: 100)
      texts[try await manager.store(text, KeyAttributes(name: "\(index)"))] = text
    }
    try await manager.close()
    let intact = try #require(try directory.files()["keys.db"])
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(state: seed)
    for round in 0..<40 {
      var damaged = intact
      let start = Int.random(in: 0..<intact.count, using: &random)
      for index in start..<min(start + Int.random(in: 1...200, using: &random), intact.count) {
        damaged[index] = UInt8.random(in: 0...255, using: &random)
      }
      try overwrite(damaged)
      let reopened: LocalKeyManager
      do {
        reopened = try await directory.open()
      } catch {
        #expect(error.code != .notFound, "seed \(seed): \(error)")
        continue
      }
      for (id, text) in texts {
        do {
          #expect(try await reopened.text(id) == text, "seed \(seed), round \(round)")
        } catch let error as KeyManagerError {
          #expect([.damaged, .notFound, .internalFailure].contains(error.code), "\(error)")
        }
      }
      _ = try? await reopened.list(KeyQuery(limit: 100), context: alice)
      try? await reopened.close()
    }
  }

  private func overwrite(_ bytes: [UInt8]) throws {
    for suffix in ["-wal", "-shm"] { unlink(directory.database + suffix) }
    let file = open(directory.database, O_WRONLY)
    defer { close(file) }
    try #require(pwrite(file, bytes, bytes.count, 0) == bytes.count)
  }
}

/// Another process that holds a lock on a database.
private final class LockHolder {
  private let process = Process()
  private let input = Pipe()

  init(_ path: String, _ statements: String...) throws {
    let output = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/python3")
    process.arguments =
      [
        "-c",
        """
        import sqlite3, sys
        db = sqlite3.connect(sys.argv[1], isolation_level=None)
        for statement in sys.argv[2:]: db.execute(statement)
        print("locked", flush=True)
        sys.stdin.read()
        """, path,
      ] + statements
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    try #require(output.fileHandleForReading.readData(ofLength: 6) == Data("locked".utf8))
  }

  func end() {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  deinit {
    if process.isRunning { process.terminate() }
  }
}

/// A file system in memory, of a given size.
private final class SmallDisk {
  let path: String

  init(kibibytes: Int) throws {
    var template = Array("/tmp/coffer-keystore-disk-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    try #require(mount("tmpfs", path, "tmpfs", 0, "size=\(kibibytes)k,mode=0700") == 0)
  }

  func grow(kibibytes: Int) throws {
    try #require(
      mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT), "size=\(kibibytes)k,mode=0700") == 0)
  }

  deinit {
    umount2(path, Int32(MNT_DETACH))
    rmdir(path)
  }
}
