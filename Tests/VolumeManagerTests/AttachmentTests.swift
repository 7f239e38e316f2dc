import Glibc
import HostSystem
import KeyManager
import Testing
import VolumeAPI

@testable import VolumeManager

extension AttachmentDocument {
  /// As a serving process writes it, with a pid and a uid that are not to be believed.
  static func of(_ volume: VolumeDocument?, at mountpoint: String = "/mnt") -> AttachmentDocument {
    AttachmentDocument(
      id: .random(), volumeID: volume?.id, keyID: volume?.keyID ?? .random(),
      image: volume?.image ?? "/image", mountpoint: mountpoint, pid: 1, uid: 0, readOnly: false,
      createdAt: "")
  }
}

@Suite struct AttachmentTests {
  /// A process to register in the name of.
  private func process() throws -> ChildProcess {
    try ChildProcess.spawn("/bin/sleep", arguments: ["3600"], environment: [])
  }

  @Test func makeAVolumeInUseAsLongAsTheProcessLives() async throws {
    let sandbox = try await Sandbox()
    let manager = sandbox.manager
    let context = sandbox.context
    let volume = try await sandbox.create()
    let server = try process()
    let caller = PeerCredentials(pid: server.pid, uid: 61001, gid: 61001)
    let kept = try await manager.register(.of(volume), context: context, caller: caller)
    #expect(kept.pid == server.pid && kept.uid == 61001)
    #expect(try await manager.attachments(context: context) == [kept])
    let shown = try await manager.volume("data", context: context)
    #expect(shown.state == .inUse && shown.mountpoint == "/mnt" && shown.pid == server.pid)
    #expect(await manager.isBusy())
    let error = await volumeError { try await sandbox.delete() }
    #expect(error?.code == .inUse)
    #expect(error?.advice?.contains("coffer detach /mnt") == true)

    server.signal(SIGKILL)
    _ = try server.wait()
    #expect(try await manager.volume("data", context: context) == volume)
    #expect(try await manager.attachments(context: context).isEmpty)
    #expect(await !manager.isBusy())
    try await sandbox.delete()
  }

  @Test func outliveTheDaemon() async throws {
    let scratch = try ScratchDirectory()
    let server = try process()
    let caller = PeerCredentials(pid: server.pid, uid: 61001, gid: 61001)
    do {
      let sandbox = try await Sandbox(in: scratch.path)
      let volume = try await sandbox.create()
      try await sandbox.manager.register(.of(volume), context: sandbox.context, caller: caller)
      try await sandbox.close()
    }
    let sandbox = try await Sandbox(in: scratch.path)
    #expect(try await sandbox.manager.volume("data", context: sandbox.context).state == .inUse)
    server.signal(SIGKILL)
    _ = try server.wait()
    #expect(try await sandbox.manager.volume("data", context: sandbox.context).state == .available)
  }

  @Test func areForgottenByTheirOwnUserAndRootAlone() async throws {
    let sandbox = try await Sandbox()
    let (manager, context) = (sandbox.manager, sandbox.context)
    let first = try await manager.register(.of(nil), context: context, caller: sandbox.user)
    let second = try await manager.register(.of(nil), context: context, caller: sandbox.user)
    let other = PeerCredentials(pid: getpid(), uid: 61002, gid: 61002)
    for (context, caller) in [(context, other), (.local(uid: 61002), other)] {
      let error = await volumeError {
        try await manager.unregister(first.id, context: context, caller: caller)
      }
      #expect(error?.code == .noSuchVolume)
    }
    #expect(try await manager.attachments(context: context).count == 2)
    try await manager.unregister(first.id, context: context, caller: sandbox.user)
    try await manager.unregister(second.id, context: context, caller: sandbox.root)
    #expect(try await manager.attachments(context: context).isEmpty)
    let error = await volumeError {
      try await manager.unregister(first.id, context: context, caller: sandbox.user)
    }
    #expect(error?.code == .noSuchVolume)
  }

  @Test func touchNoVolumeThatIsNotTheirProjects() async throws {
    let sandbox = try await Sandbox()
    let volume = try await sandbox.create()
    let other = PeerCredentials(pid: getpid(), uid: 61002, gid: 61002)
    try await sandbox.manager.register(.of(volume), context: .local(uid: 61002), caller: other)
    try await sandbox.manager.register(.of(nil), context: sandbox.context, caller: sandbox.user)
    #expect(try await sandbox.manager.volume("data", context: sandbox.context) == volume)
  }

  @Test func keepTheirIDToThemselves() async throws {
    let sandbox = try await Sandbox()
    let (manager, context) = (sandbox.manager, sandbox.context)
    var document = AttachmentDocument.of(nil)
    try await manager.register(document, context: context, caller: sandbox.user)
    document.mountpoint = "/elsewhere"
    try await manager.register(document, context: context, caller: sandbox.user)
    #expect(try await manager.attachments(context: context).map(\.mountpoint) == ["/elsewhere"])
    let server = try process()
    defer {
      server.signal(SIGKILL)
      _ = try? server.wait()
    }
    let caller = PeerCredentials(pid: server.pid, uid: 61002, gid: 61002)
    let error = await volumeError {
      try await manager.register(document, context: .local(uid: 61002), caller: caller)
    }
    #expect(error?.code == .alreadyExists)
  }

  @Test func needAProcess() async throws {
    let sandbox = try await Sandbox()
    let server = try process()
    server.signal(SIGKILL)
    _ = try server.wait()
    for pid in [0, -1, server.pid] {
      let error = await volumeError {
        try await sandbox.manager.register(
          .of(nil), context: sandbox.context,
          caller: PeerCredentials(pid: pid, uid: 61001, gid: 61001))
      }
      #expect(error?.code == .invalidRequest)
    }
  }

  @Test func doNotSurviveARestartOfTheMachine() async throws {
    let sandbox = try await Sandbox()
    try await sandbox.manager.register(.of(nil), context: sandbox.context, caller: sandbox.user)
    let catalog = await sandbox.manager.catalog
    try catalog.write { try $0.execute(sql: "UPDATE attachment SET boot = 'another'") }
    #expect(try await sandbox.manager.attachments(context: sandbox.context).isEmpty)
  }
}
