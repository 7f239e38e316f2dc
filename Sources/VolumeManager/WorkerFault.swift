import Glibc

/// Where tests make a worker die, by SIGKILL, and where release builds have nothing.
enum WorkerFault {
  /// The environment variable that names the point; with `,parent` the daemon dies first.
  static let variable = "COFFER_WORKER_FAULT"

  @inline(__always)
  static func reached(_ point: String) {
    #if DEBUG
      guard let value = getenv(variable) else { return }
      let words = String(cString: value).split(separator: ",")
      guard words.first == point[...] else { return }
      if words.count > 1 { kill(getppid(), SIGKILL) }
      kill(getpid(), SIGKILL)
    #endif
  }
}
