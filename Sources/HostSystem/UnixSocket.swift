import CLinux
import Glibc
import SystemPackage

/// Stream sockets with a path, unix(7). A path may have 107 bytes at most.
public enum UnixSocket {
  /// Connects; `connectionRefused` when the socket's owner is gone.
  public static func connect(to path: String) throws(SystemError) -> Descriptor {
    let socket = try make()
    _ = try retrying("connect", path) { coffer_unix_connect(socket.rawValue, path) }
    return socket
  }

  /// Listens at `path`, in place of a socket that is there.
  ///
  /// The caller's directory keeps others out: it must be writable by its user alone.
  public static func listen(at path: String) throws(SystemError) -> Descriptor {
    let socket = try make()
    unlink(path)
    _ = try retrying("bind", path) { coffer_unix_bind(socket.rawValue, path) }
    _ = try retrying("listen", path) { Glibc.listen(socket.rawValue, 16) }
    return socket
  }

  /// Waits for the next connection.
  public static func accept(_ listener: borrowing Descriptor) throws(SystemError) -> Descriptor {
    let number = listener.rawValue
    let accepted = try retrying("accept") { Glibc.accept(number, nil, nil) }
    _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
    return Descriptor(adopting: accepted)
  }

  private static func make() throws(SystemError) -> Descriptor {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    return Descriptor(adopting: try retrying("socket") { socket(AF_UNIX, type, 0) })
  }
}
