import Hummingbird
import HummingbirdCore
import KeyManager
import KeyStore
import Logging
import NIOCore
import ServiceLifecycle
import VolumeAPI
import VolumeManager

/// The HTTP service on one Unix socket.
struct HTTPServer: Sendable {
  let keys: any AnnotatedKeyManager
  /// The keys once more, for what is not for every caller.
  let store: LocalKeyManager
  let orders: OrderStore
  let volumes: VolumeManager
  let status: ServiceStatus
  var projects = ProjectDirectory.privateProjects
  var renewalInterval: Duration?
  let activity = Activity()
  let metrics = RequestMetrics()
  let logger: Logger

  /// A connection on which nothing arrives is closed after this long.
  static let connectionTimeout = TimeAmount.seconds(60)
  static let connectionsPerUser = 512

  /// - Parameters:
  ///   - path: where to bind; a socket that is there is replaced.
  ///   - onListening: called once connections are accepted.
  func application(
    bindingTo path: String, onListening: @escaping @Sendable (any Channel) async -> Void = { _ in }
  ) -> some ServiceLifecycle.Service {
    let router = Router(context: Call.self)
    router.add(
      middleware: RequestMiddleware(
        activity: activity, metrics: metrics, projects: projects, logger: logger))
    VersionRoutes().add(to: router)
    SecretRoutes(keys: keys).add(to: router)
    ConsumerRoutes(keys: keys).add(to: router)
    MetadataRoutes(keys: keys).add(to: router)
    AccessRoutes(keys: keys).add(to: router)
    OrderRoutes(keys: keys, orders: orders).add(to: router)
    KeyCopyRoutes(keys: keys).add(to: router)
    MasterKeyRoutes(keys: store, renewalInterval: renewalInterval).add(to: router)
    MetricsRoutes(metrics: metrics, keys: store, volumes: volumes).add(to: router)
    VolumeRoutes(volumes: volumes, status: status).add(to: router)
    let connections = UserLimit(Self.connectionsPerUser)
    // What Hummingbird itself has to say (the path it binds to, for one) is of no use to an operator.
    var quiet = logger
    quiet.logLevel = max(logger.logLevel, .warning)
    return Application(
      router: router,
      server: HTTPServerBuilder { responder in
        PeerChannel(
          http: HTTP1Channel(
            responder: responder, configuration: .init(idleTimeout: Self.connectionTimeout)),
          connections: connections)
      },
      configuration: ApplicationConfiguration(
        address: .unixDomainSocket(path: path), backlog: 1024),
      onServerRunning: onListening,
      logger: quiet)
  }
}
