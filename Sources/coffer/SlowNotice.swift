import Glibc
import HostSystem

/// Says at a terminal what is being waited for, once that takes over a second.
struct SlowNotice {
  private let task: Task<Void, any Error>?

  init(_ what: String) {
    guard isatty(STDERR_FILENO) == 1 else {
      task = nil
      return
    }
    task = Task {
      try await Task.sleep(for: .seconds(1))
      StandardError.print("coffer: \(what) …")
    }
  }

  func end() {
    task?.cancel()
  }
}
