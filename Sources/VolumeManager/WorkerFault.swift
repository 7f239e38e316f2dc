import Glibc

/// Where tests make a worker die, by SIGKILL. Release builds have nothing of it.
enum WorkerFault {
  /// The environment variable that names the point; after a comma `parent`, for the daemon to die first,
  /// or `stall`, for the worker to stop there and live on.
  static let variable = "COFFER_WORKER_FAULT"

  @inline(__always)
  static func reached(_ point: String) {
    #if DEBUG
      guard let value = getenv(variable) else { return }
      let words = String(cString: value).split(separator: ",")
      guard words.first == point[...] else { return }
      if words.last == "parent" { kill(getppid(), SIGKILL) }
      kill(getpid(), words.last == "stall" ? SIGSTOP : SIGKILL)
    #endif
  }
}
