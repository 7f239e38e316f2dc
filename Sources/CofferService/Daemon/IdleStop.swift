import ServiceLifecycle

/// Returns, and so stops the daemon, when nobody has needed it for a while.
struct IdleStop: Service {
  let activity: Activity
  /// How long without a request.
  let timeout: Duration
  let isBusy: @Sendable () async -> Bool

  func run() async {
    // A sleep that is cut short by the daemon's stop is no failure.
    try? await cancelWhenGracefulShutdown {
      while true {
        let now = ContinuousClock.now
        let due = (activity.idleSince ?? now) + timeout
        guard now >= due, await !isBusy() else {
          try await Task.sleep(until: max(due, now + min(timeout, .seconds(5))), clock: .continuous)
          continue
        }
        // A request that came while that was found out counts.
        if let idle = activity.idleSince, idle + timeout <= .now { return }
      }
    }
  }
}
