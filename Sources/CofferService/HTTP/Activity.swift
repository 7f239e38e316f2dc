import Synchronization

/// Whether requests run, and since when none does.
final class Activity: Sendable {
  private struct State {
    var running = 0
    var lastEnd = ContinuousClock.now
  }

  private let state = Mutex(State())

  func begin() {
    state.withLock { $0.running += 1 }
  }

  func end() {
    state.withLock {
      $0.running -= 1
      $0.lastEnd = .now
    }
  }

  /// Since when no request runs; nil while one does.
  var idleSince: ContinuousClock.Instant? {
    state.withLock { $0.running == 0 ? $0.lastEnd : nil }
  }
}
