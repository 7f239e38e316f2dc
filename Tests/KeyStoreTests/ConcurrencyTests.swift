import KeyManager
import Testing

@testable import KeyStore

@Suite struct ConcurrencyTests {
  /// Many tasks in many projects, more than keys are kept unwrapped: each sees its own keys as it left
  /// them.
  @Test func manyTasksAtOnce() async throws {
    let directory = try TemporaryDirectory()
    let manager = try await directory.open()
    try await withThrowingTaskGroup { group in
      for task in 0..<300 {
        group.addTask {
          let me = RequestContext.local(uid: UInt32(task))
          let id = try await manager.store("value \(task)", context: me)
          let copy = try await manager.copy(id, name: nil, context: me)
          let other = RequestContext.local(uid: UInt32((task + 1) % 300))
          #expect(await failure { _ = try await manager.get(id, context: other) } == .noSuchKey(id))
          #expect(try await manager.text(id, context: me) == "value \(task)")
          try await manager.delete(id, context: me)
          #expect(try await manager.text(copy, context: me) == "value \(task)")
          #expect(try await manager.list(KeyQuery(), context: me).total == 1)
        }
      }
      try await group.waitForAll()
    }
    try await manager.close()
  }

  /// Of many that set a value, one wins and the others are told.
  @Test func aValueIsSetOnce() async throws {
    let directory = try TemporaryDirectory()
    let manager = try await directory.open()
    let id = try await manager.store(nil, KeyAttributes(), context: alice)
    let winners = try await withThrowingTaskGroup(of: String?.self) { group in
      for task in 0..<32 {
        group.addTask {
          do {
            try await manager.setValue(
              of: id, to: try secret("\(task)"), contentType: nil, context: alice)
            return "\(task)"
          } catch let error as KeyManagerError where error.code == .conflict {
            return nil
          }
        }
      }
      return try await group.reduce(into: [String]()) { winners, winner in
        if let winner { winners.append(winner) }
      }
    }
    #expect(winners.count == 1)
    #expect(try await [manager.text(id)] == winners)
    try await manager.close()
  }

  @Test func aCancelledRequestLeavesNothing() async throws {
    let directory = try TemporaryDirectory()
    let manager = try await directory.open()
    var stored = 0
    for round in 0..<50 {
      let task = Task { try await manager.store("v") }
      for _ in 0..<round { await Task.yield() }
      task.cancel()
      do {
        _ = try await task.value
        stored += 1
      } catch let error as KeyManagerError {
        #expect(error.code == .unavailable)
        #expect(error.message.contains("cancelled"))
      }
    }
    #expect(try await manager.list(KeyQuery(), context: alice).total == stored)
    try await manager.close()
  }
}
