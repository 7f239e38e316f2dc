import BarbicanAPI
import FoundationEssentials
import Glibc
import HostSystem
import KeyManager
import KeyStore
import SecretMemory
import Testing

@Suite struct DaemonTests {
  private let context = RequestContext.local(uid: 0)

  private func keys(_ place: Place) -> BarbicanClient {
    BarbicanClient(HTTPTransport(.unixSocket(place.socket)))
  }

  @Test func theFirstStartMakesEverythingWithItsMode() throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments)
    #expect(daemon.announcement == "ready\n")
    for (path, mode) in [
      ("state", "40711"), ("state/cofferd.lock", "100600"), ("state/private", "40700"),
      ("state/private/keys", "40700"), ("state/private/keys/master.key", "100600"),
      ("state/private/keys/keys.db", "100600"), ("state/private/orders.sqlite", "100600"),
      ("run", "40755"), ("run/c.sock", "140666"),
    ] {
      #expect(place.mode(path) == mode, "\(path)")
    }
  }

  @Test func anInstanceForOneCommandIsPrivate() throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments + ["--idle-exit", "60"])
    #expect(daemon.announcement == "ready\n")
    #expect(place.mode("run/c.sock") == "140600")
  }

  @Test func anOrdinaryUsersInstanceIsPrivate() throws {
    let place = try Place()
    chown(place.path, 61_003, 61_003)
    guard let program = ProgramFile.find("cofferd") else { throw Failure("cofferd is not built") }
    let ready = try Pipe.make()
    let child = try ChildProcess.spawn(
      "/usr/bin/setpriv",
      arguments: ["--reuid=61003", "--regid=61003", "--clear-groups", program] + place.arguments
        + ["--ready-fd", "3"],
      environment: [], descriptors: [(2, 2), (3, ready.writer.rawValue)])
    defer {
      child.signal(SIGKILL)
      _ = try? child.wait()
    }
    var buffer = [UInt8](repeating: 0, count: 6)
    let count = try buffer.withUnsafeMutableBytes { try ready.reader.readSome(into: $0) }
    #expect(String(decoding: buffer.prefix(count), as: UTF8.self) == "ready\n")
    for (path, mode) in [
      ("state", "40700"), ("state/private", "40700"), ("run", "40700"), ("run/c.sock", "140600"),
    ] {
      #expect(place.mode(path) == mode, "\(path)")
    }
  }

  @Test func whatIsDoneWithKeysIsAudited() async throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments)
    #expect(daemon.announcement == "ready\n")
    #expect(place.mode("state/private/audit.log") == "100600")
    var bytes = Array("hushhushhush".utf8)
    let id = try await keys(place).store(
      try SecretBytes.taking(&bytes), KeyAttributes(name: "n"), context: context)
    _ = try await keys(place).get(id, context: context).record
    try await keys(place).delete(id, context: context)
    _ = try? await keys(place).setValue(
      of: id, to: try SecretBytes.zeroed(count: 1), contentType: nil, context: context)
    let content = try Data(contentsOf: URL(filePath: "\(place.state)/private/audit.log"))
    var events: [AuditEvent] = []
    let found = AuditVerification(of: content) { events.append($0) }
    #expect(found.isGood)
    #expect(
      events.map { "\($0.operation) \($0.outcome)" } == [
        "store ok", "set-value ok", "get ok", "delete ok", "set-value notFound",
      ])
    #expect(events.allSatisfy { $0.keyID == id.description && $0.pid == getpid() && $0.uid == 0 })
    #expect(events.allSatisfy { $0.project == "uid-0" && $0.process != nil })
    #expect(!String(decoding: content, as: UTF8.self).contains("hush"))
  }

  @Test func theMasterKeyIsUnderAPassphrase() async throws {
    let place = try Place()
    let path = "\(place.path)/cofferd.conf"
    let phrase = "\(place.path)/passphrase"
    func write(_ text: String, _ path: String) throws {
      guard let file = fopen(path, "w") else { throw Failure("fopen") }
      fputs(text, file)
      fclose(file)
      chmod(path, 0o600)
    }
    try write("open sesame\n", phrase)
    try write(
      #"{"master_key": {"passphrase_file": "\#(phrase)", "renewal_interval": "30d"}}"#, path)
    let arguments = place.arguments + ["--config", path]
    var daemon = try DaemonProcess(arguments)
    #expect(daemon.announcement == "ready\n")
    let id = try await keys(place).createKey(KeyAttributes(), context: context)
    let first = try await keys(place).masterKey()
    let renewed = try await keys(place).renewMasterKey()
    #expect(first.id != renewed.id)
    #expect(renewed.renewalAt != nil)
    daemon.signal(SIGTERM)
    #expect(try daemon.wait() == .exited(0))
    daemon = try DaemonProcess(arguments)
    let length = try await keys(place).get(id, context: context).value.count
    #expect(length == 32)
    daemon.signal(SIGTERM)
    _ = try daemon.wait()
    try write("open says me\n", phrase)
    daemon = try DaemonProcess(arguments)
    #expect(try daemon.wait() == .exited(3))
    #expect(try daemon.errorText().contains("the passphrase does not open"))
  }

  @Test func aBadConfigurationIsNamed() throws {
    let place = try Place()
    let path = "\(place.path)/cofferd.conf"
    guard let file = fopen(path, "w") else { throw Failure("fopen") }
    fputs(#"{"project": []}"#, file)
    fclose(file)
    chmod(path, 0o644)
    let daemon = try DaemonProcess(place.arguments + ["--config", path])
    #expect(try daemon.wait() == .exited(6))
    #expect(try daemon.errorText().contains("\(path): the member 'project': it is not known"))
    #expect(daemon.announcement.contains("it is not known"))
    #expect(place.mode("state") == nil)
  }

  @Test func aRestartKeepsKeysAndOrders() async throws {
    let place = try Place()
    var daemon = try DaemonProcess(place.arguments)
    #expect(daemon.announcement == "ready\n")
    var bytes = Array("a key that stays".utf8)
    let stored = try await keys(place).store(
      try SecretBytes.taking(&bytes), KeyAttributes(name: "n"), context: context)
    let ordered = try await keys(place).createKey(
      KeyAttributes(algorithm: "aes", bitLength: 256), context: context)
    daemon.signal(SIGTERM)
    #expect(try daemon.wait() == .exited(0))
    daemon = try DaemonProcess(place.arguments)
    #expect(daemon.announcement == "ready\n")
    let key = try await keys(place).get(stored, context: context)
    let text = key.value.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    #expect(text == "a key that stays")
    let length = try await keys(place).get(ordered, context: context).value.count
    #expect(length == 32)
  }

  @Test func aSecondInstanceIsRefusedAndNamesTheFirst() throws {
    let place = try Place()
    let first = try DaemonProcess(place.arguments)
    let second = try DaemonProcess(place.arguments)
    #expect(try second.wait() == .exited(2))
    let text = try second.errorText()
    #expect(text.hasPrefix("cofferd: "))
    #expect(text.contains("pid \(first.pid)"))
    #expect(text.split(separator: "\n").count == 1)
    #expect(second.announcement.contains("pid \(first.pid)"))
    // The first one's socket is still the one.
    #expect((try? UnixSocket.connect(to: place.socket)) != nil)
    #expect(place.mode("run/c.sock") == "140666")
  }

  @Test func anothersSocketIsNotTaken() throws {
    let place = try Place()
    let first = try DaemonProcess(place.arguments)
    #expect(first.announcement == "ready\n")
    let second = try DaemonProcess(
      ["--state", "\(place.path)/other", "--socket", place.socket])
    #expect(try second.wait() == .exited(2))
    #expect(try second.errorText().contains(place.socket))
  }

  @Test func whatIsNoSocketIsNotReplaced() throws {
    let place = try Place()
    close(open("\(place.path)/file", O_CREAT | O_WRONLY, 0o644))
    let daemon = try DaemonProcess(
      ["--state", place.state, "--socket", "\(place.path)/file"])
    #expect(try daemon.wait() == .exited(5))
    #expect(place.mode("file") == "100644")
  }

  @Test func aDeadInstancesSocketIsReplaced() throws {
    let place = try Place()
    let first = try DaemonProcess(place.arguments)
    first.signal(SIGKILL)
    #expect(try first.wait() == .signalled(SIGKILL))
    #expect(place.mode("run/c.sock") != nil)
    let second = try DaemonProcess(place.arguments)
    #expect(second.announcement == "ready\n")
    #expect((try? UnixSocket.connect(to: place.socket)) != nil)
  }

  @Test(arguments: [SIGTERM, SIGINT])
  func aSignalStopsItAndTheSocketGoes(number: Int32) throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments)
    // A connection without a request does not hold it up.
    let idle = try UnixSocket.connect(to: place.socket)
    daemon.signal(number)
    #expect(try daemon.wait() == .exited(0))
    #expect(place.mode("run/c.sock") == nil)
    #expect(place.mode("run") == "40755")
    withExtendedLifetime(idle.rawValue) {}
  }

  @Test func aRequestInFlightIsFinished() throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments)
    let socket = try UnixSocket.connect(to: place.socket)
    func send(_ text: String) throws {
      let bytes = Array(text.utf8)
      try bytes.withUnsafeBytes { try socket.writeAll($0) }
    }
    // The answer to the first says that the head of the second has been read too.
    try send(
      "GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n"
        + "POST /v1/secrets HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        + "Content-Length: 2\r\n\r\n{")
    var first = [UInt8](repeating: 0, count: 4096)
    _ = try first.withUnsafeMutableBytes { try socket.readSome(into: $0) }
    daemon.signal(SIGTERM)
    while (try? UnixSocket.connect(to: place.socket)) != nil { usleep(10_000) }
    try send("}")
    let text = String(decoding: try socket.readAll(limit: 65536), as: UTF8.self)
    #expect(text.hasPrefix("HTTP/1.1 201 "))
    #expect(try daemon.wait() == .exited(0))
  }

  @Test func anIdleInstanceStops() async throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments + ["--idle-exit", "1"])
    #expect(daemon.announcement == "ready\n")
    _ = try await keys(place).list(KeyQuery(), context: context)
    #expect(try daemon.wait() == .exited(0))
    #expect(place.mode("run/c.sock") == nil)
  }

  @Test func twoStartedAtOnceMakeOne() async throws {
    let place = try Place()
    let arguments = place.arguments
    let announcements = try await withThrowingTaskGroup(of: (String, Int32).self) { group in
      for _ in 0..<2 {
        group.addTask {
          let daemon = try DaemonProcess(arguments + ["--idle-exit", "2"])
          let reachable = (try? UnixSocket.connect(to: arguments[3])) != nil
          #expect(reachable)
          guard case .exited(let code) = try daemon.wait() else { throw Failure("killed") }
          return (daemon.announcement, code)
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(announcements.map(\.1).sorted() == [0, 2])
    #expect(announcements.contains { $0.0 == "ready\n" })
  }

  @Test func aStateThatCannotBeUsedIsSaidClearly() throws {
    let place = try Place()
    close(open("\(place.path)/state", O_CREAT | O_WRONLY, 0o600))
    let daemon = try DaemonProcess(place.arguments)
    #expect(try daemon.wait() == .exited(3))
    #expect(try daemon.errorText().contains("\(place.path)/state"))
    #expect(place.mode("run/c.sock") == nil)
  }

  @Test func anothersStateIsRefused() throws {
    let place = try Place()
    mkdir(place.state, 0o755)
    chown(place.state, 61_003, 61_003)
    let daemon = try DaemonProcess(place.arguments)
    #expect(try daemon.wait() == .exited(3))
    #expect(try daemon.errorText().contains("belongs to user 61003"))
    #expect(place.mode("state") == "40755")
  }

  @Test func aDamagedMasterKeyIsSaidClearly() throws {
    let place = try Place()
    let first = try DaemonProcess(place.arguments)
    first.signal(SIGTERM)
    _ = try first.wait()
    let master = "\(place.state)/private/keys/master.key"
    close(open(master, O_WRONLY | O_TRUNC))
    let daemon = try DaemonProcess(place.arguments)
    #expect(try daemon.wait() == .exited(3))
    #expect(try daemon.errorText().contains("master"))
    // It is left as it was for a person to look at.
    #expect(place.mode("state/private/keys/master.key") == "100600")
  }

  @Test func aSocketPathThatIsTooLongIsRefused() throws {
    let place = try Place()
    let daemon = try DaemonProcess(
      ["--state", place.state, "--socket", "\(place.path)/\(String(repeating: "s", count: 120))"])
    guard case .exited(let code) = try daemon.wait() else { throw Failure("killed") }
    #expect(code != 0)
    #expect(try daemon.errorText().contains("107"))
  }

  @Test(arguments: [
    ["--log-level", "loud"], ["--idle-exit", "0"], ["--idle-exit", "soon"],
    ["--nonsense"], ["stray"],
  ])
  func wrongArgumentsAreRefused(arguments: [String]) throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments + arguments)
    #expect(try daemon.wait() == .exited(64))
    #expect(place.mode("state") == nil)
  }

  @Test func itHoldsNoKeysWhereOthersCouldReadThem() throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments)
    // A process that is not dumpable belongs to root in /proc, whoever runs it, and it dumps no core.
    let limits = try Descriptor.open("/proc/\(daemon.pid)/limits", O_RDONLY).readAll(limit: 65536)
    let core = String(decoding: limits, as: UTF8.self).split(separator: "\n")
      .first { $0.hasPrefix("Max core file size") }
    #expect(core?.split(separator: " ").dropFirst(4).prefix(2) == ["0", "0"])
    let environment = try Descriptor.open("/proc/\(daemon.pid)/environ", O_RDONLY)
      .readAll(limit: 65536)
    #expect(String(decoding: environment, as: UTF8.self).contains("SWIFT_BACKTRACE=enable=no"))
  }

  /// Once a request is answered, nothing of a payload is left anywhere in the process's memory.
  @Test func itForgetsWhatWentThroughIt() async throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments)
    let name = (0..<6).map { _ in KeyID.random().description }.joined()
    let posted = (0..<6).map { _ in KeyID.random().description }.joined()
    let put = (0..<6).map { _ in KeyID.random().description }.joined()
    let connection = try UnixSocket.connect(to: place.socket)
    func ask(_ method: String, _ path: String, _ type: String, _ body: String) throws -> String {
      let bytes = Array(
        ("\(method) \(path) HTTP/1.1\r\nHost: a\r\nContent-Type: \(type)\r\n"
          + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)").utf8)
      try bytes.withUnsafeBytes { try connection.writeAll($0) }
      var answer = [UInt8](repeating: 0, count: 65536)
      let count = try answer.withUnsafeMutableBytes { try connection.readSome(into: $0) }
      return String(decoding: answer.prefix(count), as: UTF8.self)
    }
    func id(_ answer: String) throws -> Substring {
      try #require(answer.split(separator: "\r\n").first { $0.hasPrefix("Location") }).suffix(36)
    }
    let first = try id(
      ask(
        "POST", "/v1/secrets", "application/json",
        #"{"name":"\#(name)","payload":"\#(posted)","payload_content_type":"text/plain"}"#))
    #expect(try ask("GET", "/v1/secrets/\(first)/payload", "text/plain", "").contains(posted))
    let second = try id(ask("POST", "/v1/secrets", "application/json", "{}"))
    #expect(try ask("PUT", "/v1/secrets/\(second)", "text/plain", put).contains(" 204 "))
    #expect(try ask("GET", "/v1/secrets/\(second)/payload", "text/plain", "").contains(put))
    // The answer is on its way a moment before its buffer is freed; one more exchange, and it is.
    _ = try ask("GET", "/v1", "text/plain", "")
    _ = try ask("GET", "/v1", "text/plain", "")
    for secret in [posted, put] {
      for part in [secret.prefix(36), secret.suffix(36)] {
        #expect(try !memory(of: daemon.pid, holds: Array(part.utf8)))
      }
    }
    // What is no secret is found: the search works.
    #expect(try memory(of: daemon.pid, holds: Array("Secret not found.".utf8)))
  }

  /// Searches all of a process's memory, proc(5).
  private func memory(of pid: Int32, holds bytes: [UInt8]) throws -> Bool {
    let maps = try Descriptor.open("/proc/\(pid)/maps", O_RDONLY).readAll(limit: 1 << 24)
    let memory = try Descriptor.open("/proc/\(pid)/mem", O_RDONLY)
    for line in String(decoding: maps, as: UTF8.self).split(separator: "\n") {
      let fields = line.split(separator: " ")
      let range = fields[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
      guard range.count == 2, fields[1].hasPrefix("r") else { continue }
      let size = Int(range[1] - range[0])
      let buffer = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
      defer { buffer.deallocate() }
      let count = pread(memory.rawValue, buffer, size, off_t(truncatingIfNeeded: range[0]))
      var rest = UnsafeRawBufferPointer(start: buffer, count: max(count, 0))
      while rest.count >= bytes.count,
        let found = memchr(rest.baseAddress!, Int32(bytes[0]), rest.count - bytes.count + 1)
      {
        if memcmp(found, bytes, bytes.count) == 0 { return true }
        rest = UnsafeRawBufferPointer(
          rebasing: rest[(UnsafeRawPointer(found) - rest.baseAddress! + 1)...])
      }
    }
    return false
  }

  @Test func itSurvivesALackOfDescriptors() async throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments, limit: "--nofile=48:48")
    #expect(daemon.announcement == "ready\n")
    do {
      var crowd: [Int32] = []
      defer { for number in crowd { close(number) } }
      for _ in 0..<100 { crowd.append(try UnixSocket.connect(to: place.socket).release()) }
    }
    let page = try await keys(place).list(KeyQuery(), context: context)
    #expect(page.total == 0)
  }

  @Test func itTellsSystemd() throws {
    let place = try Place()
    let path = "\(place.path)/notify"
    let receiver = Descriptor(adopting: socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0))
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(receiver.rawValue, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(bound == 0)
    let daemon = try DaemonProcess(place.arguments, environment: ["NOTIFY_SOCKET=\(path)"])
    #expect(daemon.announcement == "ready\n")
    var buffer = [UInt8](repeating: 0, count: 64)
    let count = try buffer.withUnsafeMutableBytes { try receiver.readSome(into: $0) }
    #expect(String(decoding: buffer.prefix(count), as: UTF8.self) == "READY=1")
  }
}
