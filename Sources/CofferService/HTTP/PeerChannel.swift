import HostSystem
import HummingbirdCore
import Logging
import NIOCore

/// Who is at the other end of the connection that the current task serves.
enum Peer {
  @TaskLocal static var credentials: PeerCredentials?
}

/// HTTP/1.1 connections that know their peer: asked of the kernel once, when a connection is accepted,
/// and bound to the task that serves it.
struct PeerChannel: ServerChildChannel {
  struct Value: ServerChildChannelValue {
    let http: HTTP1Channel.Value
    /// Nil for a connection that is to be closed unanswered.
    let peer: PeerCredentials?
    var channel: any Channel { http.channel }
  }

  let http: HTTP1Channel
  let connections: UserLimit

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    let peer = credentials(of: channel)
    return http.setup(channel: channel, logger: logger).map { Value(http: $0, peer: peer) }
  }

  func handle(value: Value, logger: Logger) async {
    guard let peer = value.peer else {
      value.channel.close(promise: nil)
      try? await value.http.executeThenClose { _, _ in }
      return
    }
    await Peer.$credentials.withValue(peer) {
      await http.handle(value: value.http, logger: logger)
    }
  }

  private func credentials(of channel: any Channel) -> PeerCredentials? {
    let peer = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
      of: NIOBSDSocket.Handle.self
    ) { try PeerCredentials.ofPeer(socket: $0) }
    guard let peer, connections.admit(peer.uid) else { return nil }
    channel.closeFuture.whenComplete { [connections] _ in connections.release(peer.uid) }
    return peer
  }
}
