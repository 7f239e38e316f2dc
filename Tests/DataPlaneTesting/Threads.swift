import Glibc
import Synchronization

/// Runs `body` on `count` threads at once, each with its number, and returns when all are done.
public func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
  var threads: [pthread_t] = []
  for index in 0..<count {
    let task = Unmanaged.passRetained(Task { body(index) })
    var thread = pthread_t()
    let error = pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<Task>.fromOpaque(argument!).takeRetainedValue().run()
        return nil
      }, task.toOpaque())
    precondition(error == 0)
    threads.append(thread)
  }
  for thread in threads { pthread_join(thread, nil) }
}

private final class Task {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

/// A place where `count` threads wait for each other, again and again.
public final class Rendezvous: Sendable {
  private let count: Int
  private let arrivals = Atomic<Int>(0)

  public init(_ count: Int) { self.count = count }

  public func meet() {
    let arrived = arrivals.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
    let wanted = (arrived + count - 1) / count * count
    while arrivals.load(ordering: .sequentiallyConsistent) < wanted { sched_yield() }
  }
}
