import Dispatch

/// Where every call into libcryptsetup happens, one at a time: the library is not thread-safe, not even
/// for two images at once.
///
/// The actor has a queue of its own, because a call may block for seconds (a slow key derivation, a
/// slow disk) and the threads that all tasks share must not.
@globalActor
public actor LUKSActor {
  /// The only one.
  public static let shared = LUKSActor()

  private let executor = QueueExecutor()

  /// The queue.
  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }
}

private final class QueueExecutor: SerialExecutor {
  private let queue = DispatchQueue(label: "coffer.luks")

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }
}
