import Glibc
import HostSystem
import KeyManager
import KeyStore
public import Logging
import ServiceLifecycle
import Synchronization
import VolumeAPI
import VolumeManager

/// How to run `cofferd`.
public struct DaemonOptions: Sendable {
  /// The absolute path of the state directory.
  public var state: String
  /// The absolute path of the socket, at most 107 bytes.
  public var socket: String
  /// The path of the configuration; none when nil.
  public var configuration: String?
  /// Stop after that long without a request while nothing is attached; never when nil.
  public var idleExit: Duration?
  /// Where to write the line `ready`, or a `VolumeError` as JSON; it is closed then.
  public var readyDescriptor: Int32?
  /// What is logged to standard error.
  public var logLevel: Logger.Level

  /// The members' defaults are those of the command line.
  public init(
    state: String, socket: String, configuration: String? = nil, idleExit: Duration? = nil,
    readyDescriptor: Int32? = nil,
    logLevel: Logger.Level = .notice
  ) {
    self.state = state
    self.socket = socket
    self.configuration = configuration
    self.idleExit = idleExit
    self.readyDescriptor = readyDescriptor
    self.logLevel = logLevel
  }

  /// The configuration of a service that is told of none: the machine's for root, if it is there.
  public static var defaultConfiguration: String? {
    geteuid() == 0 && access(ServiceConfiguration.defaultPath, F_OK) == 0
      ? ServiceConfiguration.defaultPath : nil
  }

  /// Root's instance is every user's, unless it was started for one command and stops by itself.
  var socketMode: mode_t { geteuid() == 0 && idleExit == nil ? 0o666 : 0o600 }
}

/// One instance of the service, from its lock to its last answer.
public struct Daemon: Sendable {
  /// Coffer's version, as `GET /coffer/v1/status` answers.
  public static let version = "0.1.0"

  /// How long requests in flight may take when the daemon is told to stop.
  private static let stopLimit = Duration.seconds(30)

  private let options: DaemonOptions
  private let readiness: Readiness
  private let logger: Logger

  /// Does nothing yet.
  public init(_ options: DaemonOptions) {
    self.options = options
    readiness = Readiness(descriptor: options.readyDescriptor)
    var logger = Logger(label: "cofferd") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = options.logLevel
    self.logger = logger
  }

  /// Serves until SIGTERM, SIGINT or idleness. The process is already hardened, see `ProcessHardening`.
  public func run() async throws(DaemonError) {
    do {
      try await serve()
    } catch {
      readiness.announce(error)
      throw error
    }
  }

  private func serve() async throws(DaemonError) {
    ProcessHardening.raiseDescriptorLimit()
    let configuration =
      try options.configuration.map(ServiceConfiguration.load) ?? ServiceConfiguration()
    let projects = try ProjectDirectory(configuration, path: options.configuration ?? "")
    let state = try ClaimedState.claim(options.state, socket: options.socket)
    let socket = try ServiceSocket(path: options.socket, mode: options.socketMode)
    let server = try await open(state, configuration, projects)
    try await listen(server, on: socket)
    logger.notice("stopped")
    state.release()
  }

  private func open(
    _ state: borrowing ClaimedState, _ configuration: ServiceConfiguration,
    _ projects: ProjectDirectory
  ) async throws(DaemonError) -> HTTPServer {
    let masterKeys = try configuration.masterKey.store(directory: state.keysPath)
    let store: LocalKeyManager
    do {
      store = try await LocalKeyManager.open(
        directory: state.keysPath, masterKeys: masterKeys)
    } catch {
      throw DaemonError(.state, "cannot open the key store in \(state.keysPath): \(error)")
    }
    let keys: AuditedKeys
    do {
      keys = AuditedKeys(keys: store, log: try AuditLog(path: state.auditPath))
    } catch {
      throw DaemonError(.state, "\(error)")
    }
    let orders: OrderStore
    do {
      orders = try OrderStore(path: state.ordersPath)
    } catch {
      throw DaemonError(.state, "cannot open the orders in \(state.ordersPath): \(error)")
    }
    let volumes: VolumeManager
    do {
      volumes = try await VolumeManager.open(
        database: state.catalogPath, pool: state.poolPath, keys: keys)
    } catch {
      throw DaemonError(.state, "cannot open the catalog of volumes: \(error)")
    }
    do {
      for sentence in try await volumes.recover() { logger.warning("\(sentence)") }
    } catch {
      throw DaemonError(.recovery, "cannot finish what an earlier stop left behind: \(error)")
    }
    let status = ServiceStatus(
      version: Self.version, pid: getpid(), state: state.path, pool: state.poolPath)
    return HTTPServer(
      keys: keys, store: store, orders: orders, volumes: volumes, status: status,
      projects: projects,
      renewalInterval: configuration.masterKey.renewalInterval, logger: logger)
  }

  private func listen(_ server: HTTPServer, on socket: ServiceSocket) async throws(DaemonError) {
    let outcome = Mutex<Result<PublishedSocket, SystemError>?>(nil)
    defer {
      if case .success(let published) = outcome.withLock({ $0 }) { published.remove() }
    }
    let application = server.application(bindingTo: socket.temporaryPath) { channel in
      let result = Result { () throws(SystemError) in try socket.publish() }
      outcome.withLock { $0 = result }
      switch result {
      case .success:
        logger.notice("serving \(options.state) on \(options.socket)")
        readiness.announce()
      case .failure:
        channel.close(promise: nil)
      }
    }
    var services = [
      ServiceGroupConfiguration.ServiceConfiguration(
        service: application, successTerminationBehavior: .gracefullyShutdownGroup)
    ]
    if let interval = server.renewalInterval {
      let renewal = PeriodicalRenewal(keys: server.store, interval: interval, logger: logger)
      services.append(.init(service: renewal))
    }
    if let timeout = options.idleExit {
      let idle = IdleStop(
        activity: server.activity, timeout: timeout, isBusy: { await server.volumes.isBusy() })
      services.append(.init(service: idle, successTerminationBehavior: .gracefullyShutdownGroup))
    }
    var quiet = logger
    quiet.logLevel = max(logger.logLevel, .warning)
    var configuration = ServiceGroupConfiguration(
      services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
    configuration.maximumGracefulShutdownDuration = Self.stopLimit
    do {
      try await ServiceGroup(configuration: configuration).run()
    } catch {
      unlink(socket.temporaryPath)
      throw DaemonError(.socket, "cannot serve on \(options.socket): \(error)")
    }
    if case .failure(let error) = outcome.withLock({ $0 }) {
      unlink(socket.temporaryPath)
      throw DaemonError(.socket, "cannot make the socket \(options.socket): \(error)")
    }
  }
}
