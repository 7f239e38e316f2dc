import BarbicanAPI
import KeyManager
import KeyStore
import Logging
import ServiceLifecycle
import Testing

@testable import CofferService

@Suite struct MasterKeyTests {
  @Test func theAdministratorSeesAndRenewsIt() async throws {
    try await withService { service in
      let id = try await service.makeKey(
        #"{"payload":"p","payload_content_type":"text/plain"}"#)
      let first = try await service.ask("GET", "/coffer/v1/master-key")
      let renewed = try await service.ask("POST", "/coffer/v1/master-key/renew")
      #expect(first.status == 200)
      #expect(renewed.status == 200)
      let before = try first.json(MasterKeyDocument.self)
      let after = try renewed.json(MasterKeyDocument.self)
      #expect(before.projects == 1)
      #expect(before.id != after.id)
      #expect(after.renewalAt == nil)
      #expect(try await service.ask("GET", "/v1/secrets/\(id)/payload").text == "p")
    }
  }

  @Test func itIsNobodyElses() async throws {
    try await withService { service in
      for (method, path) in [
        ("GET", "/coffer/v1/master-key"), ("POST", "/coffer/v1/master-key/renew"),
      ] {
        let answer = try await askAs(
          uid: IdentityTests.alice, service.socket, text: requestText(method, path))
        #expect(answer.status == 403)
        #expect(!answer.text.contains("master.key"))
      }
    }
  }

  /// Renewed again and again until it is told to stop, and then at once.
  @Test func itIsRenewedPeriodically() async throws {
    let directory = try TemporaryDirectory()
    let keys = try await LocalKeyManager.open(directory: "\(directory.path)/keys")
    let context = KeyContext.local(uid: 1)
    let id = try await keys.createKey(KeyAttributes(), context: context)
    let logger = Logger(label: "test") { _ in LogRecorder() }
    let service = PeriodicalRenewal(keys: keys, interval: .milliseconds(20), logger: logger)
    let group = ServiceGroup(services: [service], logger: logger)
    let first = try await keys.masterKeyID()
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try await group.run() }
      var seen: Set = [first]
      while seen.count < 4 { seen.insert(try await keys.masterKeyID()) }
      await group.triggerGracefulShutdown()
      try await tasks.waitForAll()
    }
    let last = try await keys.masterKeyID()
    #expect(try await keys.masterKeyStatus().projects == 1)
    let length = try await keys.get(id, context: context).value.count
    #expect(length == 32)
    try await keys.close()
    let reopened = try await LocalKeyManager.open(directory: "\(directory.path)/keys")
    #expect(try await reopened.masterKeyID() == last)
  }

  @Test func aLongIntervalDoesNotKeepTheDaemonFromStopping() async throws {
    let directory = try TemporaryDirectory()
    let keys = try await LocalKeyManager.open(directory: "\(directory.path)/keys")
    let logger = Logger(label: "test") { _ in LogRecorder() }
    let service = PeriodicalRenewal(keys: keys, interval: .seconds(86_400), logger: logger)
    let group = ServiceGroup(services: [service], logger: logger)
    let first = try await keys.masterKeyID()
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try await group.run() }
      await group.triggerGracefulShutdown()
      try await tasks.waitForAll()
    }
    #expect(try await keys.masterKeyID() == first)
  }
}
