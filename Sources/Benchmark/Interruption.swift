internal import Glibc
internal import Synchronization

/// SIGINT, SIGTERM and SIGHUP become an error of the next `check`, so that everything is cleaned up.
enum Interruption {
  /// Catches the signals while `body` runs.
  static func caught<Value>(_ body: () async throws -> Value) async throws -> Value {
    // The handler must not be the first to touch the flag, which is initialised lazily.
    received.store(0, ordering: .relaxed)
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { received.store($0, ordering: .relaxed) }
    var previous: [(Int32, sigaction)] = []
    for number in [SIGINT, SIGTERM, SIGHUP] {
      var old = sigaction()
      sigaction(number, &action, &old)
      previous.append((number, old))
    }
    defer {
      for (number, old) in previous {
        var old = old
        sigaction(number, &old, nil)
      }
    }
    return try await body()
  }

  static func check() throws {
    let number = received.load(ordering: .relaxed)
    guard number == 0 else {
      throw BenchmarkError(.interrupted, "stopped by signal \(number); everything is cleaned up")
    }
  }
}

/// The last signal's number.
private let received = Atomic<Int32>(0)
