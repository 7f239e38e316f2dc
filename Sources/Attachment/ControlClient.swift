import HostSystem
import VolumeAPI

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Asks the serving process of a mount, through its `ControlSocket`.
enum ControlClient {
  /// The process that serves the mount with this device number: asked of the kernel, not of the process.
  static func server(device: String, directories: [String], owner: UInt32) -> PeerCredentials? {
    for directory in directories {
      let path = ControlSocket.path(device: device, directory: directory)
      guard let connection = try? UnixSocket.connect(to: path),
        let peer = try? PeerCredentials.ofPeer(socket: connection.rawValue),
        peer.uid == owner || peer.uid == 0
      else { continue }
      return peer
    }
    return nil
  }

  static func status(device: String, directories: [String]) -> AttachmentStatus? {
    for directory in directories {
      let path = ControlSocket.path(device: device, directory: directory)
      guard let connection = try? UnixSocket.connect(to: path) else { continue }
      guard (try? connection.writeAll(Array("status\n".utf8))) != nil,
        let answer = try? connection.readAll(limit: 1 << 20)
      else { continue }
      return try? JSONDecoder().decode(AttachmentStatus.self, from: Data(answer))
    }
    return nil
  }
}
