import Glibc

/// Runs fdatasync(2) for many callers at once, and tells every one of them the truth.
///
/// The kernel reports a write-back error to one caller of fsync only and marks the pages clean, so
/// a caller that comes later, or at the same time on another thread, would be told that all is well. Here
/// flushes run one after the other, each caller waits for one that began after its call, and once one
/// has failed all later ones fail with EIO: nobody knows any more what is on the disk.
// @unchecked: what changes is only touched with the monitor locked.
final class FlushGroup: @unchecked Sendable {
  private let monitor = Monitor()
  private var started: UInt64 = 0
  private var finished: UInt64 = 0
  /// The number and errno of the flush that failed.
  private var failure: (number: UInt64, error: Int32)?

  var hasFailed: Bool {
    monitor.lock()
    defer { monitor.unlock() }
    return failure != nil
  }

  /// Returns when a flush that began after the call has ended: 0, the errno of that flush, or EIO
  /// when an earlier one failed.
  func run(_ flush: () -> Int32) -> Int32 {
    monitor.lock()
    defer { monitor.unlock() }
    let wanted = started + 1
    while finished < wanted && failure == nil {
      if started > finished {
        monitor.wait()
        continue
      }
      started += 1
      let number = started
      monitor.unlock()
      let error = flush()
      monitor.lock()
      finished = number
      if error != 0 { failure = (number, error) }
      monitor.broadcast()
    }
    guard let failure = failure else { return 0 }
    if failure.number < wanted { return EIO }
    return failure.number == wanted ? failure.error : 0
  }
}
