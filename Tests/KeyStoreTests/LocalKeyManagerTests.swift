import KeyManager
import SecretMemory
import Synchronization
import Testing

@testable import KeyStore

@Suite struct LocalKeyManagerTests {
  private let directory: TemporaryDirectory
  private let manager: LocalKeyManager

  init() async throws {
    directory = try TemporaryDirectory()
    manager = try await directory.open()
  }

  @Test func keepsWhatIsStored() async throws {
    let attributes = KeyAttributes(
      name: "näme 🔑", type: .passphrase, algorithm: "AES", bitLength: 40, mode: "cbc",
      expiration: Timestamp(microseconds: Timestamp.now().microseconds + 3_600_000_000),
      contentType: "text/plain")
    let before = Timestamp.now()
    let id = try await manager.store("hello", attributes)
    let key = try await manager.get(id, context: alice)
    #expect(bytes(key.value) == Array("hello".utf8))
    let record = key.record
    #expect(record.id == id)
    #expect(record.attributes == attributes)
    #expect(record.project == "uid-1001")
    #expect(record.creator == "uid-1001")
    #expect(record.created >= before)
    #expect(record.updated == record.created)
    #expect(record.hasValue)
    #expect(try await manager.record(of: id, context: alice) == record)
  }

  @Test func keepsItAcrossReopening() async throws {
    let id = try await manager.store("hello", KeyAttributes(name: "n"))
    let record = try await manager.record(of: id, context: alice)
    try await manager.close()
    let reopened = try await directory.open()
    #expect(try await reopened.text(id) == "hello")
    #expect(try await reopened.record(of: id, context: alice) == record)
    try await reopened.close()
  }

  @Test func allAbsentAttributesStayAbsent() async throws {
    let attributes = KeyAttributes(type: .opaque, contentType: nil)
    let id = try await manager.store("x", attributes)
    #expect(try await manager.record(of: id, context: alice).attributes == attributes)
  }

  @Test(arguments: [1, 2, 4095, 4096, 4097, 19_999, 20_000])
  func keepsValuesUpToTheLimit(_ count: Int) async throws {
    let value = (0..<count).map { _ in UInt8.random(in: 0...255) }
    let id = try await manager.store(try secret(value), KeyAttributes(), context: alice)
    #expect(try await manager.value(id) == value)
  }

  @Test func refusesValuesPastTheLimit() async throws {
    let large = await failure {
      _ = try await manager.store(.zeroed(count: 20_001), KeyAttributes(), context: alice)
    }
    #expect(large?.code == .payloadTooLarge)
    #expect(await failure { _ = try await manager.store("") }?.code == .invalidRequest)
    #expect(try await manager.list(KeyQuery(), context: alice).total == 0)
  }

  @Test func anIDComesBeforeItsValue() async throws {
    let id = try await manager.store(nil, KeyAttributes(contentType: nil), context: alice)
    let empty = try await manager.record(of: id, context: alice)
    #expect(!empty.hasValue)
    #expect(await failure { _ = try await manager.get(id, context: alice) }?.code == .notFound)
    #expect(
      await failure { _ = try await manager.copy(id, name: nil, context: alice) }?.code == .notFound
    )

    try await manager.setValue(
      of: id, to: try secret("late"), contentType: "text/plain", context: alice)
    #expect(try await manager.text(id) == "late")
    let full = try await manager.record(of: id, context: alice)
    #expect(full.hasValue)
    #expect(full.attributes.contentType == "text/plain")
    #expect(full.created == empty.created)
    #expect(full.updated > empty.updated)

    let again = await failure {
      try await manager.setValue(
        of: id, to: try secret("again"), contentType: nil, context: alice)
    }
    #expect(again?.code == .conflict)
    #expect(try await manager.text(id) == "late")
  }

  @Test func copiesWithinTheProject() async throws {
    let attributes = KeyAttributes(name: "a", algorithm: "aes", bitLength: 256)
    let id = try await manager.createKey(attributes, context: alice)
    let other = RequestContext(user: "other", project: alice.project, roles: [.creator])
    let copy = try await manager.copy(id, name: "b", context: other)
    #expect(copy != id)
    #expect(try await manager.value(copy) == manager.value(id))
    let record = try await manager.record(of: copy, context: alice)
    #expect(record.attributes == KeyAttributes(name: "b", algorithm: "aes", bitLength: 256))
    #expect(record.creator == "other")

    try await manager.delete(id, context: alice)
    #expect(try await manager.value(copy).count == 32)
  }

  @Test func deletesForGood() async throws {
    let id = try await manager.store("x")
    try await manager.delete(id, context: alice)
    for error in await failures(id, alice) { #expect(error == .noSuchKey(id)) }
    #expect(try await manager.list(KeyQuery(), context: alice) == KeyPage(records: [], total: 0))
  }

  @Test func anotherProjectsKeyIsAsIfItWereNot() async throws {
    let id = try await manager.store("mine")
    _ = try await manager.store("his", context: bob)
    for error in await failures(id, bob) { #expect(error == .noSuchKey(id)) }
    let stranger = RequestContext(user: alice.user, project: "no such project", roles: [.admin])
    for error in await failures(id, stranger) { #expect(error == .noSuchKey(id)) }
    let missing = KeyID.random()
    for error in await failures(missing, bob) { #expect(error == .noSuchKey(missing)) }
    #expect(try await manager.list(KeyQuery(), context: bob).total == 1)
    #expect(try await manager.list(KeyQuery(), context: stranger).total == 0)
    #expect(try await manager.text(id) == "mine")
  }

  /// Equal as strings, different as bytes: to be told apart.
  @Test func projectsAreTheirBytes() async throws {
    let composed = RequestContext(user: "u", project: "caf\u{E9}", roles: [.admin])
    let decomposed = RequestContext(user: "u", project: "cafe\u{301}", roles: [.admin])
    #expect(composed.project == decomposed.project)
    let id = try await manager.store("x", context: composed)
    #expect(try await manager.text(id, context: composed) == "x")
    #expect(
      await failure { _ = try await manager.get(id, context: decomposed) } == .noSuchKey(id))
  }

  @Test func rolesAllowWhatTheySay() async throws {
    func member(_ user: String, _ roles: Set<Role>) -> RequestContext {
      RequestContext(user: user, project: "p", roles: roles)
    }
    let (nobody, reader) = (member("n", []), member("r", [.reader]))
    let (maker, other) = (member("m", [.creator]), member("o", [.creator]))
    let admin = member("a", [.admin])
    let id = try await manager.store("x", context: maker)

    for error in await failures(id, nobody) { #expect(error.code == .notAuthorized) }
    let listing = await failure { _ = try await manager.list(KeyQuery(), context: nobody) }
    #expect(listing?.code == .notAuthorized)

    #expect(try await manager.text(id, context: reader) == "x")
    #expect(try await manager.list(KeyQuery(), context: reader).total == 1)
    let refused = [
      await failure { _ = try await manager.store("y", context: reader) },
      await failure { _ = try await manager.createKey(KeyAttributes(), context: reader) },
      await failure { _ = try await manager.copy(id, name: nil, context: reader) },
      await failure { try await manager.delete(id, context: reader) },
      await failure { try await manager.delete(id, context: other) },
    ]
    #expect(refused.map(\.?.code) == Array(repeating: .notAuthorized, count: 5))

    try await manager.delete(id, context: maker)
    let second = try await manager.store("z", context: maker)
    try await manager.delete(second, context: admin)
    #expect(try await manager.list(KeyQuery(), context: reader).total == 0)
  }

  /// The same answer for a role that is lacking, whether the key exists or not.
  @Test func rolesTellNothingOfKeys() async throws {
    let id = try await manager.store("x")
    let reader = RequestContext(user: "r", project: "other", roles: [.reader])
    let existing = await failure { try await manager.delete(id, context: reader) }
    let missing = await failure { try await manager.delete(.random(), context: reader) }
    #expect(existing == missing)
  }

  @Test func anExpiredKeyIsForNobody() async throws {
    try await manager.close()
    let clock = Atomic<Int64>(1000)
    let manager = try await LocalKeyManager.open(directory: directory.keys) {
      Timestamp(microseconds: clock.load(ordering: .relaxed))
    }
    let expiration = Timestamp(microseconds: 2000)
    let id = try await manager.store("x", KeyAttributes(expiration: expiration))
    let empty = try await manager.store(nil, KeyAttributes(expiration: expiration), context: alice)
    let lasting = try await manager.store("y")
    clock.store(1999, ordering: .relaxed)
    #expect(try await manager.text(id) == "x")
    #expect(try await manager.list(KeyQuery(), context: alice).total == 3)

    clock.store(2000, ordering: .relaxed)
    for id in [id, empty] {
      let errors = [
        await failure { _ = try await manager.get(id, context: alice) },
        await failure { _ = try await manager.record(of: id, context: alice) },
        await failure { _ = try await manager.copy(id, name: nil, context: alice) },
        await failure {
          try await manager.setValue(of: id, to: try secret("z"), contentType: nil, context: alice)
        },
      ]
      #expect(errors == Array(repeating: .noSuchKey(id), count: 4))
    }
    let page = try await manager.list(KeyQuery(), context: alice)
    #expect(page.records.map(\.id) == [lasting])
    #expect(page.total == 1)
    try await manager.delete(id, context: alice)
    #expect(try await manager.list(KeyQuery(), context: alice).total == 1)
  }

  @Test func refusesWhatMakesNoSense() async throws {
    let long = String(repeating: "é", count: 256)
    let bad = [
      KeyAttributes(name: long), KeyAttributes(algorithm: long), KeyAttributes(mode: long),
      KeyAttributes(contentType: long), KeyAttributes(name: "a\0b"), KeyAttributes(bitLength: 0),
      KeyAttributes(bitLength: -8), KeyAttributes(bitLength: 32_768),
      KeyAttributes(expiration: Timestamp(microseconds: 0)),
    ]
    for attributes in bad {
      let error = await failure { _ = try await manager.store("x", attributes) }
      #expect(error?.code == .invalidRequest, "\(attributes)")
    }
    #expect(try await manager.list(KeyQuery(), context: alice).total == 0)
    let longest = String(repeating: "é", count: 255)
    let id = try await manager.store("x", KeyAttributes(name: longest, bitLength: 32_767))
    #expect(try await manager.record(of: id, context: alice).attributes.name == longest)
  }

  @Test func whenClosedItSaysSo() async throws {
    let id = try await manager.store("x")
    try await manager.close()
    for error in await failures(id, alice) { #expect(error.code == .unavailable) }
  }

  /// What each operation on one key throws.
  private func failures(_ id: KeyID, _ context: RequestContext) async -> [KeyManagerError] {
    [
      await failure { _ = try await manager.get(id, context: context) },
      await failure { _ = try await manager.record(of: id, context: context) },
      await failure { _ = try await manager.copy(id, name: nil, context: context) },
      await failure { try await manager.delete(id, context: context) },
      await failure {
        try await manager.setValue(of: id, to: try secret("z"), contentType: nil, context: context)
      },
    ].compactMap(\.self)
  }
}
