import KeyManager
import Synchronization
import Testing

/// A renewal of three targets, with a failure at each call that it makes, singly and from there on.
@Suite struct TwoPhaseRenewalTests {
  private typealias Renewal = TwoPhaseRenewal<Credential>

  @Test func replacesTheCredential() async throws {
    let world = World()
    let steps = Mutex<[Renewal.Step]>([])
    let renewal = Renewal(targets: world.targets, store: world) { step in
      steps.withLock { $0.append(step) }
    }
    try await renewal.run(from: old, to: new)
    #expect(world.opening == Array(repeating: ["new"], count: 3))
    #expect(world.stored == new)
    #expect(
      steps.withLock { $0 } == [
        .authorized(0), .authorized(1), .authorized(2), .saved,
        .deauthorized(0), .deauthorized(1), .deauthorized(2),
      ])
  }

  @Test func doesNothingTwice() async throws {
    let world = World()
    let renewal = Renewal(targets: world.targets, store: world)
    try await renewal.run(from: old, to: new)
    try await renewal.settle(["old", "new"])
    #expect(world.opening == Array(repeating: ["new"], count: 3))
  }

  /// Calls 0 to 2 authorize, 3 saves, 4 to 6 deauthorize.
  @Test(arguments: 0..<7, [false, true])
  func aFailedCallLosesNothing(_ call: Int, lasting: Bool) async throws {
    let world = World(failing: lasting ? call..<Int.max : call..<call + 1)
    let renewal = Renewal(targets: world.targets, store: world)
    do {
      try await renewal.run(from: old, to: new)
      Issue.record("a failed call went unnoticed")
    } catch {
      switch error {
      case .rolledBack:
        #expect(call < 4 && !lasting)
        #expect(world.stored == old)
        #expect(world.opening == Array(repeating: ["old"], count: 3))
      case .unfinished:
        #expect(call >= 4 || lasting)
      }
    }
    #expect(world.violations == 0, "the stored credential always opened everything")
    world.recover()
    let kept = try await renewal.settle(["old", "new"])
    #expect(kept == (call < 4 ? old : new))
    #expect(world.opening == Array(repeating: [kept.id], count: 3))
    #expect(world.violations == 0)
  }

  /// As when rename(2) worked and fsync(2) of the directory did not: both must go on working.
  @Test func aSaveThatFailedAfterTheFactKeepsBoth() async throws {
    let world = World(failing: 3..<4, savesBeforeFailing: true)
    let renewal = Renewal(targets: world.targets, store: world)
    await #expect(throws: RenewalError.self) { try await renewal.run(from: old, to: new) }
    #expect(world.opening == Array(repeating: ["old", "new"], count: 3))
    try await renewal.settle(["old", "new"])
    #expect(world.opening == Array(repeating: ["new"], count: 3))
  }
}

private struct Credential: Identifiable, Sendable, Equatable {
  let id: String
}

private let old = Credential(id: "old")
private let new = Credential(id: "new")

/// Three targets and a store in memory, which fail as told.
private final class World: RenewalStore {
  struct Failure: Error {}

  private struct State {
    var opening: [Set<String>] = Array(repeating: ["old"], count: 3)
    var stored = old
    var calls = 0
    var failing: Range<Int>
    var violations = 0
  }

  private let state: Mutex<State>
  private let savesBeforeFailing: Bool

  init(failing: Range<Int> = 0..<0, savesBeforeFailing: Bool = false) {
    state = Mutex(State(failing: failing))
    self.savesBeforeFailing = savesBeforeFailing
  }

  var opening: [Set<String>] { state.withLock { $0.opening } }
  var stored: Credential { state.withLock { $0.stored } }
  var violations: Int { state.withLock { $0.violations } }
  var targets: [any RenewalTarget<Credential>] { (0..<3).map { Target(world: self, index: $0) } }

  func recover() { state.withLock { $0.failing = 0..<0 } }

  func load() async throws -> Credential { stored }

  func save(_ credential: Credential) async throws {
    try state.withLock { state in
      let failure = Self.step(&state)
      if failure == nil || savesBeforeFailing { state.stored = credential }
      Self.check(&state)
      if let failure { throw failure }
    }
  }

  func change(_ index: Int, _ body: @Sendable (inout Set<String>) -> Void) throws {
    try state.withLock { state in
      if let failure = Self.step(&state) { throw failure }
      body(&state.opening[index])
      Self.check(&state)
    }
  }

  private static func step(_ state: inout State) -> Failure? {
    defer { state.calls += 1 }
    return state.failing.contains(state.calls) ? Failure() : nil
  }

  private static func check(_ state: inout State) {
    if !state.opening.allSatisfy({ $0.contains(state.stored.id) }) { state.violations += 1 }
  }
}

private struct Target: RenewalTarget {
  let world: World
  let index: Int

  func authorize(_ new: Credential, using old: Credential) async throws {
    try world.change(index) { $0.insert(new.id) }
  }

  func deauthorize(_ retired: String, keeping kept: Credential) async throws {
    try world.change(index) { $0.remove(retired) }
  }
}
