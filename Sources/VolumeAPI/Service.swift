public import BarbicanAPI
import Glibc
public import KeyManager

/// A `cofferd`, found and running: keys and volumes through one connection.
public struct Service: Sendable {
  public let keys: BarbicanClient
  public let volumes: VolumeClient
  /// Who asks. The service takes the identity from the socket, whatever this says.
  public let context: RequestContext

  /// Finds the service; starts the user's own when none runs.
  ///
  /// - Parameters:
  ///   - socket: the value of `--socket`; such a service is never started.
  ///   - project: act for this project; only for root and the service's user.
  public static func connect(
    socket: String? = nil, project: String? = nil
  ) async throws(VolumeError) -> Service {
    let user = UserEnvironment.current
    let location = try ServiceLocation.find(socket: socket, for: user)
    // Root's own instance and the machine's are one.
    let mayStart = location.kind == .own || (location.kind == .system && user.uid == 0)
    if mayStart, !user.canConnect(location.socket) {
      try location.prepareDirectory(for: user)
      try ServiceStarter.start(location, for: user)
    }
    let transport = HTTPTransport(.unixSocket(location.socket), timeout: .seconds(10))
    return Service(
      keys: BarbicanClient(transport, project: project),
      volumes: VolumeClient(transport, project: project),
      context: .local(uid: user.uid))
  }
}
