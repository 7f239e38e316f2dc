import CLinux
import Glibc

/// Who is at the other end of a Unix socket, as the kernel says (unix(7), SO_PEERCRED).
public struct PeerCredentials: Sendable, Equatable {
  public let pid: Int32
  public let uid: UInt32
  public let gid: UInt32

  public init(pid: Int32, uid: UInt32, gid: UInt32) {
    self.pid = pid
    self.uid = uid
    self.gid = gid
  }

  /// The credentials of the peer of a connected socket.
  public static func ofPeer(socket: Int32) throws(SystemError) -> PeerCredentials {
    var pid: Int32 = 0
    var uid: UInt32 = 0
    var gid: UInt32 = 0
    guard coffer_peer_credentials(socket, &pid, &uid, &gid) == 0 else {
      throw .current("getsockopt(SO_PEERCRED)")
    }
    return PeerCredentials(pid: pid, uid: uid, gid: gid)
  }
}
