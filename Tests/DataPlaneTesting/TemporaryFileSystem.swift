import Glibc
import HostSystem

/// A small tmpfs, which goes with the value. Needs root.
public final class TemporaryFileSystem: Sendable {
  public let path: String

  public init(kibibytes: Int) throws {
    var template = "/tmp/coffer-tmpfs-XXXXXX".utf8CString
    path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    guard mount("tmpfs", path, "tmpfs", 0, "size=\(kibibytes)k") == 0 else {
      throw SystemError.current("mount", path)
    }
  }

  deinit {
    umount2(path, Int32(MNT_DETACH))
    rmdir(path)
  }
}
