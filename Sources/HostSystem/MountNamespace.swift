import CLinux
import Glibc

public enum MountNamespace {
  /// Moves the calling process, which must have one thread, into another mount namespace: setns(2).
  ///
  /// - Parameter name: the number of a process that is in it, or the path of a namespace file.
  public static func enter(_ name: String) throws(SystemError) {
    let path = Int32(name) == nil ? name : "/proc/\(name)/ns/mnt"
    let file = try Descriptor.open(path, O_RDONLY)
    if coffer_enter_mount_namespace(file.rawValue) != 0 { throw .current("setns", path) }
  }
}
