import Synchronization

/// How many of something each user may have at once, so that one user cannot take it all from the
/// others. Root has no limit.
final class UserLimit: Sendable {
  private let limit: Int
  private let counts = Mutex<[UInt32: Int]>([:])

  init(_ limit: Int) {
    self.limit = limit
  }

  /// Returns false when the user has its share; else `release` must follow.
  func admit(_ uid: UInt32) -> Bool {
    counts.withLock { counts in
      let count = counts[uid, default: 0]
      guard count < limit || uid == 0 else { return false }
      counts[uid] = count + 1
      return true
    }
  }

  func release(_ uid: UInt32) {
    counts.withLock { counts in
      let count = counts[uid, default: 0] - 1
      counts[uid] = count > 0 ? count : nil
    }
  }
}
