import FoundationEssentials
import GRDB
import KeyManager
import Testing

@testable import KeyStore

/// Rows that were edited or swapped in the database file are refused, not served.
@Suite struct TamperingTests {
  private let directory: TemporaryDirectory
  private let id: KeyID
  private let sibling: KeyID
  private let foreign: KeyID

  init() async throws {
    directory = try TemporaryDirectory()
    let manager = try await directory.open()
    let attributes = KeyAttributes(
      name: "n", type: .symmetric, algorithm: "aes", bitLength: 256, mode: "xts",
      expiration: Timestamp(microseconds: Timestamp.now().microseconds + 3_600_000_000))
    id = try await manager.createKey(attributes, context: alice)
    sibling = try await manager.createKey(attributes, context: alice)
    foreign = try await manager.createKey(attributes, context: bob)
    try await manager.close()
  }

  @Test(arguments: [
    "creator = 'uid-1002'", "creator = ''", "created = created + 1", "updated = updated - 1",
    "name = 'm'", "name = ''", "name = NULL", "type = 'opaque'",
    "type = 'bogus'", "algorithm = 'AES'", "algorithm = NULL", "bit_length = 128",
    "bit_length = NULL", "mode = 'XTS'", "mode = NULL", "mode = 'cbc'", "expiration = NULL",
    "expiration = expiration + 1", "expiration = 1", "content_type = NULL",
    "content_type = 'text/plain'", "has_value = 0", "has_value = 2", "wrapped = x''",
    "wrapped = x'01'", "wrapped = zeroblob(length(wrapped))",
    "wrapped = substr(wrapped, 1, length(wrapped) - 1)", "wrapped = cast(wrapped || x'00' AS BLOB)",
  ])
  func anEditedColumn(_ change: String) async throws {
    try directory.edit("UPDATE secrets SET \(change) WHERE id = ?", [id.description])
    try await expectRefusal(of: id, as: alice)
  }

  @Test func eachByteOfTheWrappedValue() async throws {
    let intact: [String] = try directory.query(
      "SELECT hex(wrapped) FROM secrets WHERE id = '\(id)'")
    let wrapped = bytes(hex: intact[0])
    #expect(wrapped.count == 61, "a version, a nonce, 32 bytes, a tag")
    let manager = try await directory.open()
    for index in wrapped.indices {
      var changed = wrapped
      changed[index] ^= 0x40
      try directory.edit(
        "UPDATE secrets SET wrapped = ? WHERE id = ?",
        [Data(changed), id.description])
      let error = await failure { _ = try await manager.get(id, context: alice) }
      #expect(error?.code == .damaged, "byte \(index)")
    }
    try directory.edit(
      "UPDATE secrets SET wrapped = ? WHERE id = ?",
      [Data(wrapped), id.description])
    #expect(try await manager.value(id).count == 32)
    try await manager.close()
  }

  @Test func swappedValues() async throws {
    try swap("wrapped", id, sibling)
    try await expectRefusal(of: id, as: alice)
  }

  @Test func swappedIDs() async throws {
    try swap("id", id, sibling)
    try await expectRefusal(of: id, as: alice)
    let manager = try await directory.open()
    #expect(
      await failure { _ = try await manager.get(sibling, context: alice) }?.code == .damaged)
    try await manager.close()
  }

  @Test func anotherID() async throws {
    let other = KeyID.random()
    try directory.edit(
      "UPDATE secrets SET id = ? WHERE id = ?", [other.description, id.description])
    try await expectRefusal(of: other, as: alice)
  }

  @Test func anIDThatIsNone() async throws {
    try directory.edit("UPDATE secrets SET id = 'x' WHERE id = ?", [id.description])
    let manager = try await directory.open()
    let error = await failure { _ = try await manager.list(KeyQuery(), context: alice) }
    #expect(error?.code == .damaged)
    #expect(await failure { _ = try await manager.get(id, context: alice) } == .noSuchKey(id))
    try await manager.close()
  }

  @Test func movedToAnotherProject() async throws {
    try directory.edit(
      "UPDATE secrets SET project = (SELECT id FROM projects WHERE name = ?) WHERE id = ?",
      [bob.project, id.description])
    try await expectRefusal(of: id, as: bob)
  }

  @Test func swappedProjects() async throws {
    try swap("project", id, foreign)
    try await expectRefusal(of: id, as: bob)
  }

  /// Renaming a project must not give its keys to whoever bears the new name.
  @Test func aRenamedProject() async throws {
    try directory.edit(
      "UPDATE projects SET name = 'uid-1003' WHERE name = ?", [alice.project])
    let error = await failure { _ = try await directory.open() }
    #expect(error?.code == .damaged)
    #expect(error?.message.contains("uid-1003") == true)
  }

  @Test(arguments: [
    "wrapped = zeroblob(length(wrapped))", "wrapped = x''", "wrapped = substr(wrapped, 2)",
    "wrapped = (SELECT p.wrapped FROM project_keys p WHERE p.project <> project_keys.project)",
    "master_key = '919108f7-52d1-4320-9bac-f847db4148a8'",
  ])
  func anEditedProjectKey(_ change: String) async throws {
    try directory.edit("UPDATE project_keys SET \(change)")
    let error = await failure { _ = try await directory.open() }
    #expect(error?.code == .damaged)
  }

  @Test func aLostProjectKey() async throws {
    try directory.edit("DELETE FROM project_keys WHERE project = 1")
    let error = await failure { _ = try await directory.open() }
    #expect(error?.code == .damaged)
  }

  @Test func anIDWithoutValueIsBoundToo() async throws {
    let manager = try await directory.open()
    let empty = try await manager.store(nil, KeyAttributes(name: "e"), context: alice)
    try await manager.close()
    try directory.edit("UPDATE secrets SET has_value = 1 WHERE id = ?", [empty.description])
    try await expectRefusal(of: empty, as: alice)
  }

  /// Every operation says `damaged` and names the key; only an admin's deletion works.
  private func expectRefusal(of id: KeyID, as context: RequestContext) async throws {
    let creator = RequestContext(
      user: context.user, project: context.project, roles: [.creator])
    let manager = try await directory.open()
    let errors = [
      await failure { _ = try await manager.get(id, context: context) },
      await failure { _ = try await manager.record(of: id, context: context) },
      await failure { _ = try await manager.copy(id, name: nil, context: context) },
      await failure {
        try await manager.setValue(of: id, to: try secret("x"), contentType: nil, context: context)
      },
      await failure { try await manager.delete(id, context: creator) },
    ]
    for error in errors {
      #expect(error?.code == .damaged)
      #expect(error?.message.contains(id.description) == true)
    }
    let expired: [String] = try directory.query("SELECT id FROM secrets WHERE expiration = 1")
    if expired.isEmpty {
      let error = await failure { _ = try await manager.list(KeyQuery(), context: context) }
      #expect(error?.code == .damaged)
    }
    try await manager.delete(id, context: context)
    #expect(await failure { _ = try await manager.get(id, context: context) } == .noSuchKey(id))
    try await manager.close()
  }

  /// Swaps a column of two rows, each held fast by its number.
  private func swap(_ column: String, _ a: KeyID, _ b: KeyID) throws {
    let rows: [Int64] = try directory.query(
      "SELECT number FROM secrets WHERE id IN ('\(a)', '\(b)') ORDER BY number")
    try directory.edit(
      """
      CREATE TEMP TABLE held AS SELECT number, \(column) AS value FROM secrets;
      UPDATE secrets SET id = id || '-' WHERE number IN (\(rows[0]), \(rows[1]));
      UPDATE secrets SET id = substr(id, 1, 36), \(column) =
          (SELECT value FROM held WHERE number = \(rows[1])) WHERE number = \(rows[0]);
      UPDATE secrets SET id = substr(id, 1, 36), \(column) =
          (SELECT value FROM held WHERE number = \(rows[0])) WHERE number = \(rows[1]);
      """)
  }
}
