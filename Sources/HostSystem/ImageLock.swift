import CLinux
import Glibc

/// The lock that makes an image in use: an open-file-description lock over the whole file, fcntl(2).
///
/// It belongs to the open file description, so it ends with the process that holds it, however that
/// dies; and unlike flock(2) it does not stand in the way of libcryptsetup, which takes flock itself.
public enum ImageLock {
  /// Locks without waiting. Returns false when someone else holds a conflicting lock.
  ///
  /// - Parameter exclusive: to write; a shared lock is for reading alone. An exclusive lock needs a
  ///   descriptor open for writing.
  public static func tryLock(
    _ descriptor: borrowing Descriptor, exclusive: Bool
  ) throws(SystemError) -> Bool {
    if coffer_ofd_lock(descriptor.rawValue, Int16(exclusive ? F_WRLCK : F_RDLCK)) == 0 {
      return true
    }
    let error = SystemError.current("fcntl(F_OFD_SETLK)")
    if error.code == .resourceTemporarilyUnavailable || error.code == .permissionDenied {
      return false
    }
    throw error
  }

  /// Whether someone else holds a lock that an exclusive one would wait for.
  public static func isHeld(_ descriptor: borrowing Descriptor) throws(SystemError) -> Bool {
    let answer = coffer_ofd_lock_conflicts(descriptor.rawValue, Int16(F_WRLCK))
    if answer < 0 { throw .current("fcntl(F_OFD_GETLK)") }
    return answer == 1
  }
}
