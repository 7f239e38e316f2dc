import GRDB
import KeyManager
import SecretMemory
import Testing

@testable import KeyStore

/// What is noted of a key besides its record: consumers, metadata, access.
@Suite struct AnnotationTests {
  private let directory: TemporaryDirectory
  private let manager: LocalKeyManager
  private let id: KeyID

  init() async throws {
    directory = try TemporaryDirectory()
    manager = try await directory.open()
    id = try await manager.store("value", context: alice)
  }

  private let volume = KeyConsumer.volume("v1")

  @Test func aKeyInUseNamesItsVolume() async throws {
    try await manager.addConsumer(volume, to: id, context: alice)
    let error = await failure { try await manager.delete(id, context: alice) }
    #expect(error?.code == .inUse)
    #expect(error?.message.contains("volume v1 (coffer)") == true)
    #expect(try await manager.text(id) == "value")
    #expect(try await manager.removeConsumer(volume, from: id, context: alice)?.consumers == [])
    #expect(try await manager.removeConsumer(volume, from: id, context: alice) == nil)
    try await manager.delete(id, context: alice)
  }

  @Test func forceDeletesAKeyInUse() async throws {
    try await manager.addConsumer(volume, to: id, context: alice)
    try await manager.delete(id, force: true, context: alice)
    #expect(await failure { _ = try await manager.get(id, context: alice) } == .noSuchKey(id))
  }

  @Test func everythingLastsAndACopyHasNone() async throws {
    try await manager.addConsumer(volume, to: id, context: alice)
    try await manager.changeMetadata(of: id, context: alice) { $0["a"] = "b" }
    try await manager.changeAccess(of: id, context: alice) {
      $0 = KeyAccess(
        projectAccess: false, users: ["uid-1002"], created: Timestamp(microseconds: 1),
        updated: Timestamp(microseconds: 2))
    }
    try await manager.close()
    let reopened = try await directory.open()
    #expect(
      try await reopened.record(of: id, context: alice).consumers.map(\.consumer) == [volume])
    #expect(try await reopened.metadata(of: id, context: alice) == ["a": "b"])
    #expect(try await reopened.access(of: id, context: alice)?.users == ["uid-1002"])
    #expect(try await reopened.text(id, context: bob) == "value")
    try await reopened.renewMasterKey()
    #expect(try await reopened.text(id) == "value")

    let copy = try await reopened.copy(id, name: nil, context: alice)
    #expect(try await reopened.record(of: copy, context: alice).consumers == [])
    #expect(try await reopened.metadata(of: copy, context: alice) == [:])
    #expect(try await reopened.access(of: copy, context: alice) == nil)
    // A reader's copy is its own.
    let bobs = try await reopened.copy(id, name: nil, context: bob)
    #expect(try await reopened.record(of: bobs, context: bob).project == bob.project)
    #expect(await failure { _ = try await reopened.get(bobs, context: alice) } == .noSuchKey(bobs))
  }

  @Test func withoutAnnotationsTheRowIsAsBefore() async throws {
    try await manager.addConsumer(volume, to: id, context: alice)
    try await manager.removeConsumer(volume, from: id, context: alice)
    let rows: [String?] = try directory.query("SELECT annotations FROM secrets")
    #expect(rows == [nil])
    #expect(try await manager.text(id) == "value")
  }

  @Test func theValueCanBeSetAfterwards() async throws {
    let empty = try await manager.store(nil, KeyAttributes(), context: alice)
    try await manager.addConsumer(volume, to: empty, context: alice)
    try await manager.setValue(
      of: empty, to: try secret("late"), contentType: nil, context: alice)
    #expect(try await manager.text(empty) == "late")
    #expect(try await manager.record(of: empty, context: alice).consumers.count == 1)
  }

  @Test func accessInAProjectOfSeveral() async throws {
    func member(_ user: String, _ role: Role) -> RequestContext {
      RequestContext(user: user, project: "team", roles: [role])
    }
    let maker = member("maker", .creator)
    let key = try await manager.store("team's", context: maker)
    #expect(try await manager.text(key, context: member("reader", .reader)) == "team's")
    let stranger = await failure {
      try await manager.changeAccess(of: key, context: member("other", .creator)) { $0 = nil }
    }
    #expect(stranger?.code == .notAuthorized)
    try await manager.changeAccess(of: key, context: maker) {
      $0 = KeyAccess(
        projectAccess: false, users: ["friend"], created: .now(), updated: .now())
    }
    let refused = await failure {
      _ = try await manager.get(key, context: member("reader", .reader))
    }
    #expect(refused?.code == .notAuthorized)
    for reader in [maker, member("friend", .reader), member("boss", .admin)] {
      #expect(try await manager.text(key, context: reader) == "team's")
    }
    // Named by the ACL, but without any role.
    let nobody = RequestContext(user: "friend", project: "team", roles: [])
    #expect(
      await failure { _ = try await manager.get(key, context: nobody) }?.code == .notAuthorized)
  }

  @Test func theyHaveALimit() async throws {
    let long = String(repeating: "m", count: KeyAnnotations.limit)
    let error = await failure {
      try await manager.changeMetadata(of: id, context: alice) { $0["a"] = long }
    }
    #expect(error?.code == .payloadTooLarge)
    #expect(try await manager.metadata(of: id, context: alice) == [:])
  }

  @Test(arguments: [
    "annotations = NULL", "annotations = cast('{}' AS BLOB)",
    "annotations = cast(replace(cast(annotations AS TEXT), 'v1', 'v2') AS BLOB)",
    "annotations = cast(annotations || ' ' AS BLOB)",
  ])
  func editedAnnotationsAreNotServed(_ change: String) async throws {
    try await manager.addConsumer(volume, to: id, context: alice)
    try await manager.close()
    try directory.edit("UPDATE secrets SET \(change)")
    let reopened = try await directory.open()
    for error in [
      await failure { _ = try await reopened.get(id, context: alice) },
      await failure { _ = try await reopened.metadata(of: id, context: alice) },
      await failure { try await reopened.addConsumer(.volume("w"), to: id, context: alice) },
    ] {
      #expect(error?.code == .damaged)
    }
    // An admin gets rid of a damaged row.
    try await reopened.delete(id, context: alice)
  }

  /// The table of readers is an index: an entry that was slipped in gives nothing.
  @Test func aReaderThatWasSlippedInReadsNothing() async throws {
    try directory.edit(
      "INSERT INTO readers SELECT 'uid-1002', id, number FROM secrets WHERE id = ?",
      [id.description])
    #expect(await failure { _ = try await manager.get(id, context: bob) } == .noSuchKey(id))
  }
}
