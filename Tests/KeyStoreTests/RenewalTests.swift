import FoundationEssentials
import GRDB
import Glibc
import KeyManager
import Synchronization
import Testing

@testable import KeyStore

@Suite struct RenewalTests {
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
  }

  @Test func keysStayAsTheyAre() async throws {
    let manager = try await directory.open()
    let ids = try await fill(manager)
    let before = try await manager.masterKeyID()
    let after = try await manager.renewMasterKey()
    #expect(after != before)
    #expect(try await manager.masterKeyID() == after)
    try await expectAll(ids, manager)
    _ = try await manager.store("new project", context: .local(uid: 5000))
    try await manager.close()
    try expectOneMasterKey()
    let reopened = try await directory.open()
    try await expectAll(ids, reopened)
    try await reopened.close()
  }

  @Test func theOldMasterKeyOpensNothing() async throws {
    let manager = try await directory.open()
    _ = try await fill(manager)
    let store = FileMasterKeyStore(path: directory.masterKey)
    let old = try store.load()
    try await manager.renewMasterKey()
    try await manager.close()
    try store.save(old)
    #expect(await failure { _ = try await directory.open() }?.code == .damaged)
  }

  @Test func worksManyTimesAndOnAnEmptyStore() async throws {
    let manager = try await directory.open()
    try await manager.renewMasterKey()
    let ids = try await fill(manager)
    for _ in 0..<5 { try await manager.renewMasterKey() }
    try await expectAll(ids, manager)
    try await manager.close()
    try expectOneMasterKey()
  }

  /// Keys of new and old projects are made, read and deleted while the master key is renewed.
  @Test func runsBesideOtherRequests() async throws {
    let manager = try await directory.open()
    let ids = try await fill(manager)
    let made = try await withThrowingTaskGroup(of: (KeyID, RequestContext).self) { group in
      for index in 0..<40 {
        group.addTask {
          let context = RequestContext.local(uid: UInt32(9000 + index))
          return (try await manager.store("v", context: context), context)
        }
      }
      for _ in 0..<5 { try await manager.renewMasterKey() }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    try await manager.close()
    try expectOneMasterKey()
    let reopened = try await directory.open()
    try await expectAll(ids, reopened)
    for (id, context) in made { #expect(try await reopened.text(id, context: context) == "v") }
    try await reopened.close()
  }

  @Test func oneAtATime() async throws {
    let manager = try await directory.open()
    _ = try await fill(manager)
    let codes = await withTaskGroup(of: KeyManagerError.Code?.self) { group in
      for _ in 0..<8 {
        group.addTask {
          do throws(KeyManagerError) {
            try await manager.renewMasterKey()
            return nil
          } catch {
            return error.code
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(codes.contains { $0 == nil })
    #expect(codes.allSatisfy { $0 == nil || $0 == .conflict })
    try await manager.close()
    try expectOneMasterKey()
  }

  @Test func aStoreThatCannotSaveRollsBack() async throws {
    let store = FailingStore(
      inner: FileMasterKeyStore(path: directory.path + "/key"), savesFirst: false)
    let manager = try await LocalKeyManager.open(directory: directory.keys, masterKeys: store)
    let ids = try await fill(manager)
    let before = try await manager.masterKeyID()
    store.fail(true)
    let error = await failure { try await manager.renewMasterKey() }
    #expect(error?.message.contains("nothing was renewed") == true)
    #expect(try await manager.masterKeyID() == before)
    let wraps: [Int] = try directory.query(
      "SELECT count(DISTINCT master_key) FROM project_keys")
    #expect(wraps == [1])
    store.fail(false)
    try await manager.renewMasterKey()
    try await expectAll(ids, manager)
    try await manager.close()
  }

  /// As when the rename is done and cannot be made durable: old and new both open everything, until the
  /// next renewal or start.
  @Test(arguments: [false, true]) func aSaveInDoubtKeepsBoth(_ restarts: Bool) async throws {
    let store = FailingStore(
      inner: FileMasterKeyStore(path: directory.path + "/key"), savesFirst: true)
    var manager = try await LocalKeyManager.open(directory: directory.keys, masterKeys: store)
    var ids = try await fill(manager)
    store.fail(true)
    let error = await failure { try await manager.renewMasterKey() }
    #expect(error?.message.contains("both work") == true)
    store.fail(false)
    let added = try await manager.store("added", context: .local(uid: 7777))
    let wraps: [Int] = try directory.query("SELECT count(*) FROM project_keys GROUP BY project")
    #expect(wraps.allSatisfy { $0 == 2 }, "also the new project's key is wrapped under both")
    if restarts {
      try await manager.close()
      manager = try await LocalKeyManager.open(directory: directory.keys, masterKeys: store)
    } else {
      try await manager.renewMasterKey()
    }
    #expect(try await manager.text(added, context: .local(uid: 7777)) == "added")
    ids.append((try await manager.store("later", context: alice), alice, "later"))
    try await expectAll(ids, manager)
    try await manager.close()
    let left: [Int] = try directory.query("SELECT count(DISTINCT master_key) FROM project_keys")
    #expect(left == [1])
  }

  @Test func cancellationDoesNotCutItShort() async throws {
    let manager = try await directory.open()
    let ids = try await fill(manager)
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await manager.renewMasterKey()
    }
    let renewed = try await task.value
    #expect(try await manager.masterKeyID() == renewed)
    try await expectAll(ids, manager)
    try await manager.close()
    try expectOneMasterKey()
  }

  private func fill(
    _ manager: LocalKeyManager
  ) async throws -> [(KeyID, RequestContext, String)] {
    var ids: [(KeyID, RequestContext, String)] = []
    for user in [alice, bob, .local(uid: 1003)] {
      for index in 0..<3 {
        let text = "\(user.user) \(index)"
        ids.append((try await manager.store(text, context: user), user, text))
      }
    }
    return ids
  }

  private func expectAll(
    _ ids: [(KeyID, RequestContext, String)], _ manager: LocalKeyManager
  ) async throws {
    for (id, context, text) in ids {
      #expect(try await manager.text(id, context: context) == text)
    }
  }

  private func expectOneMasterKey() throws {
    let id = try FileMasterKeyStore(path: directory.masterKey).load().id.description
    let known: [String] = try directory.query("SELECT DISTINCT master_key FROM project_keys")
    #expect(known == [id])
  }
}

/// A store whose `save` fails when told, before or after the deed.
private final class FailingStore: MasterKeyStore {
  struct Failure: Error {}

  private let inner: FileMasterKeyStore
  private let savesFirst: Bool
  private let fails = Atomic(false)

  init(inner: FileMasterKeyStore, savesFirst: Bool) {
    self.inner = inner
    self.savesFirst = savesFirst
  }

  var description: String { "test store" }

  func fail(_ fails: Bool) { self.fails.store(fails, ordering: .relaxed) }

  func load() throws -> MasterKey { try inner.load() }

  func saved() throws -> Timestamp? { nil }
  func removeUnfinishedSave() throws { try inner.removeUnfinishedSave() }

  func save(_ key: MasterKey) throws {
    let fails = fails.load(ordering: .relaxed)
    if !fails || savesFirst { try inner.save(key) }
    if fails { throw Failure() }
  }
}
