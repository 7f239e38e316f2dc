import FoundationEssentials
import GRDB
import Glibc
import KeyManager
import Synchronization
import Testing

@testable import KeyStore

/// A process is killed (SIGKILL) at each step of an operation; the next start finds all in order.
@Suite(.serialized) struct CrashTests {
  /// What the killed process was doing.
  enum Operation: String, CaseIterable, Codable, Sendable {
    case renew, store, storeInNewProject, copy, setValue, delete
  }

  @Test(arguments: 0..<6) func renewalKilledAtEachStep(_ step: Int) async throws {
    let world = try await World()
    await #expect(processExitsWith: .signal(SIGKILL)) {
      [keys = world.directory.keys as String, step = step as Int] in
      // Three steps of the renewal, three of the master key's store.
      let store = FileMasterKeyStore(path: keys + "/master.key") { reached in
        if FileMasterKeyStore.SaveStep.allCases.firstIndex(of: reached) == step - 3 { die() }
      }
      let manager = try await LocalKeyManager.open(directory: keys, masterKeys: store)
      _ = try await manager.renewMasterKey { reached in
        if reached == [.authorized(0), .saved, .deauthorized(0)][min(step, 2)], step < 3 { die() }
      }
    }
    try await world.expectOrder()
  }

  @Test(arguments: Operation.allCases)
  func killedAtEachStatement(_ operation: Operation) async throws {
    let world = try await World()
    let count = Counter(dyingAt: nil)
    let manager = try await world.directory.open()
    try count.watch(manager)
    try await run(operation, on: manager, world.victim, world.empty)
    try await manager.close()
    try #require(count.value > 2, "a transaction, and a statement within")
    for step in 0..<count.value {
      let world = try await World()
      await #expect(processExitsWith: .signal(SIGKILL), "statement \(step) of \(operation)") {
        [
          keys = world.directory.keys as String, operation = operation as Operation,
          step = step as Int, victim = world.victim as KeyID, empty = world.empty as KeyID
        ] in
        let manager = try await LocalKeyManager.open(directory: keys)
        try Counter(dyingAt: step).watch(manager)
        try await run(operation, on: manager, victim, empty)
      }
      try await world.expectOrder()
    }
  }

  /// A process that stores, copies and deletes until it is killed at some instant. What it reported as
  /// done is done; what it was doing is done or not.
  @Test(arguments: 0..<4) func killedAnywhere(_ round: Int) async throws {
    let world = try await World()
    let journal = world.directory.path + "/journal"
    let delay = UInt32.random(in: 20_000...200_000)
    await #expect(processExitsWith: .signal(SIGKILL), "after \(delay) us") {
      [
        keys = world.directory.keys as String, journal = journal as String,
        delay = delay as UInt32
      ] in
      let manager = try await LocalKeyManager.open(directory: keys)
      let log = open(journal, O_WRONLY | O_CREAT | O_APPEND, 0o600)
      @Sendable func report(_ line: String) {
        _ = line.withCString { write(log, $0, strlen($0)) }
      }
      Thread.detached {
        usleep(delay)
        die()
      }
      await withTaskGroup { group in
        for worker in 0..<4 {
          group.addTask {
            while true {
              guard let id = try? await manager.store("worker \(worker)") else { continue }
              report("made \(id)\n")
              guard let copy = try? await manager.copy(id, name: "c", context: alice) else {
                continue
              }
              report("made \(copy)\n")
              report("deleting \(id)\n")
              try? await manager.delete(id, context: alice)
              report("deleted \(id)\n")
              if worker == 0 { _ = try? await manager.renewMasterKey() }
            }
          }
        }
      }
    }
    let manager = try await world.expectOrder()
    var sure: Set<String> = []
    var gone: Set<String> = []
    let lines = try String(decoding: Data(contentsOf: URL(filePath: journal)), as: UTF8.self)
    for line in lines.split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      switch words[0] {
      case "made": sure.insert(words[1])
      case "deleting": sure.remove(words[1])
      default: gone.insert(words[1])
      }
    }
    for id in sure {
      let text = try await manager.text(try #require(KeyID(id)))
      #expect(text.hasPrefix("worker"))
    }
    for id in gone {
      let id = try #require(KeyID(id))
      #expect(await failure { _ = try await manager.get(id, context: alice) } == .noSuchKey(id))
    }
    try await manager.close()
  }

  /// Keys of two projects, as they were before a process was killed.
  private struct World {
    let directory: TemporaryDirectory
    /// May be deleted; all other keys may not be harmed.
    let victim: KeyID
    /// Has no value yet.
    let empty: KeyID
    private let keys: [(KeyID, RequestContext, String)]

    init() async throws {
      directory = try TemporaryDirectory()
      let manager = try await directory.open()
      var keys: [(KeyID, RequestContext, String)] = []
      for user in [alice, bob] {
        keys.append((try await manager.store(user.user, context: user), user, user.user))
      }
      self.keys = keys
      victim = try await manager.store("victim")
      empty = try await manager.store(nil, KeyAttributes(), context: alice)
      try await manager.close()
    }

    /// All keys read back, each listed one is whole, and one master key opens everything.
    @discardableResult
    func expectOrder() async throws -> LocalKeyManager {
      let manager = try await directory.open()
      for (id, context, text) in keys {
        #expect(try await manager.text(id, context: context) == text)
      }
      for user in [alice, bob, carol] {
        var offset = 0
        var page: KeyPage
        repeat {
          page = try await manager.list(KeyQuery(limit: 100, offset: offset), context: user)
          for record in page.records where record.hasValue {
            #expect(try await !manager.value(record.id, context: user).isEmpty)
          }
          offset += page.records.count
        } while !page.records.isEmpty
        #expect(page.total == offset)
      }
      let victimText = try? await manager.text(victim)
      #expect(victimText == nil || victimText == "victim")
      let emptyText = try? await manager.text(empty)
      #expect(emptyText == nil || emptyText == "late")

      let wraps: [String] = try directory.query("SELECT DISTINCT master_key FROM project_keys")
      #expect(try await wraps == [manager.masterKeyID().description])
      let projects: [Int] = try directory.query(
        "SELECT (SELECT count(*) FROM projects) - (SELECT count(*) FROM project_keys)")
      #expect(projects == [0])
      let check: [String] = try directory.query("PRAGMA integrity_check")
      #expect(check == ["ok"])
      let names = try FileManager.default.contentsOfDirectory(atPath: directory.keys)
      #expect(!names.contains("master.key.new"), "nothing of an unfinished save is left")
      return manager
    }
  }
}

private let carol = RequestContext.local(uid: 1003)

private func die() {
  kill(getpid(), SIGKILL)
  pause()
}

private func run(
  _ operation: CrashTests.Operation, on manager: LocalKeyManager, _ victim: KeyID, _ empty: KeyID
) async throws {
  switch operation {
  case .renew: try await manager.renewMasterKey()
  case .store: _ = try await manager.store("x")
  case .storeInNewProject: _ = try await manager.store("x", context: carol)
  case .copy: _ = try await manager.copy(victim, name: nil, context: alice)
  case .setValue:
    try await manager.setValue(
      of: empty, to: try secret("late"), contentType: nil, context: alice)
  case .delete: try await manager.delete(victim, context: alice)
  }
}

/// Counts the statements of the database's writer, and dies before one of them.
private final class Counter: Sendable {
  private let count = Atomic(0)
  private let last: Int?

  init(dyingAt last: Int?) {
    self.last = last
  }

  var value: Int { count.load(ordering: .relaxed) }

  func watch(_ manager: LocalKeyManager) throws {
    try manager.database.onWriter { db in
      db.trace { _ in
        if self.count.add(1, ordering: .relaxed).oldValue == self.last { die() }
      }
    }
  }
}

private enum Thread {
  static func detached(_ body: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(body))
    pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
        return nil
      }, box.toOpaque())
    pthread_detach(thread)
  }

  private final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}
