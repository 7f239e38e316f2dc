import Glibc
import KeyStore
import Logging
import ServiceLifecycle
import VolumeAPI
import VolumeManager

@testable import CofferService

/// The real service on a real socket in a temporary directory, for every user to connect to.
struct TestService: Sendable {
  let socket: String
  let log: LogRecorder

  /// Sends one request on a connection of its own.
  func ask(
    _ method: String, _ path: String, _ headers: [String: String] = [:], body: String? = nil
  ) async throws -> Answer {
    try await ask(text: requestText(method, path, headers, body: body))
  }

  func ask(text: String) async throws -> Answer {
    let socket = socket
    return try await blocking {
      let connection = try Connection(socket)
      try connection.send(text)
      guard let answer = try connection.answer() else { throw Failure("no answer") }
      return answer
    }
  }

  /// POST of a JSON text.
  func post(_ path: String, _ json: String, _ headers: [String: String] = [:]) async throws
    -> Answer
  {
    let all = headers.merging(["Content-Type": "application/json"]) { own, _ in own }
    return try await ask("POST", path, all, body: json)
  }

  /// Stores a key and returns its ID.
  func makeKey(_ json: String = #"{"name":"k"}"#) async throws -> String {
    let answer = try await post("/v1/secrets", json)
    guard answer.status == 201, let id = answer.location else {
      throw Failure("storing a key answered \(answer.status) \(answer.text)")
    }
    return id
  }
}

func withService(
  projects: ProjectDirectory = .privateProjects, _ body: (TestService) async throws -> Void
) async throws {
  let directory = try TemporaryDirectory()
  let socket = "\(directory.path)/s.sock"
  let log = LogRecorder()
  let logger = Logger(label: "test") { _ in log }
  let keys = try await LocalKeyManager.open(directory: "\(directory.path)/keys")
  let volumes = try await VolumeManager.open(
    database: "\(directory.path)/catalog.sqlite", pool: "\(directory.path)/pool", keys: keys)
  let server = HTTPServer(
    keys: keys, store: keys, orders: try OrderStore(path: "\(directory.path)/orders.sqlite"),
    volumes: volumes,
    status: ServiceStatus(
      version: "test", pid: getpid(), state: directory.path, pool: "\(directory.path)/pool"),
    projects: projects, logger: logger)
  let (listening, started) = AsyncStream.makeStream(of: Void.self)
  let application = server.application(bindingTo: socket) { _ in
    chmod(socket, 0o666)
    started.finish()
  }
  let group = ServiceGroup(services: [application], logger: logger)
  try await withThrowingTaskGroup(of: Void.self) { tasks in
    tasks.addTask {
      defer { started.finish() }
      try await group.run()
    }
    for await _ in listening {}
    let result: Result<Void, any Error>
    do {
      result = .success(try await body(TestService(socket: socket, log: log)))
    } catch {
      result = .failure(error)
    }
    await group.triggerGracefulShutdown()
    try await tasks.waitForAll()
    try result.get()
  }
  withExtendedLifetime(directory) {}
}
