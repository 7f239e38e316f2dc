import Glibc

/// A mutex and a condition variable that goes with it: pthread_mutex_init(3), pthread_cond_init(3).
/// (Synchronization has no condition variable.)
struct Monitor: ~Copyable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
    mutex.initialize(to: pthread_mutex_t())
    changed.initialize(to: pthread_cond_t())
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(changed, nil)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    mutex.deallocate()
  }

  func lock() { pthread_mutex_lock(mutex) }
  func unlock() { pthread_mutex_unlock(mutex) }
  /// Lets go of the mutex until someone broadcasts; may also return without that.
  func wait() { pthread_cond_wait(changed, mutex) }
  func broadcast() { pthread_cond_broadcast(changed) }
}
