import BarbicanAPI
import Glibc
import HostSystem
import KeyManager
import SecretMemory
import Testing
import VolumeAPI

/// Volumes through a real daemon, its workers and its socket.
@Suite struct VolumeServiceTests {
  private func client(_ place: Place, project: String? = nil) -> VolumeClient {
    VolumeClient(HTTPTransport(.unixSocket(place.socket)), project: project)
  }

  private func keys(_ place: Place) -> BarbicanClient {
    BarbicanClient(HTTPTransport(.unixSocket(place.socket)))
  }

  private func secret(_ text: String) throws -> SecretBytes {
    var bytes = Array(text.utf8)
    return try SecretBytes.taking(&bytes)
  }

  /// The error that `body` throws.
  private func error(_ body: () async throws -> Void) async -> VolumeError? {
    do {
      try await body()
      return nil
    } catch {
      return error as? VolumeError
    }
  }

  /// A LUKS2 image of 32 MiB whose passphrase is `old`, with a quick key derivation.
  private func makeImage(at path: String) throws {
    let script =
      "truncate -s 32M \(path) && printf old | cryptsetup luksFormat -q --type luks2 "
      + "--pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file - \(path)"
    let shell = try ChildProcess.spawn(
      "/bin/sh", arguments: ["-c", script], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
      descriptors: [(2, 2)])
    guard try shell.wait() == .exited(0) else { throw Failure("cryptsetup luksFormat") }
  }

  @Test func aVolumeIsMadeShownAndDeleted() async throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments)
    #expect(daemon.announcement == "ready\n")
    let client = client(place)
    let made = try await client.createVolume(VolumeCreation(name: "a name, ü", size: 1 << 20))
    #expect(made.state == .available)
    #expect(try await client.volume("a name, ü") == made)
    #expect(try await client.volume(made.id.description) == made)
    #expect(try await client.volumes() == [made])
    let taken = await error {
      _ = try await client.createVolume(VolumeCreation(name: "a name, ü", size: 1 << 20))
    }
    #expect(taken?.code == .alreadyExists)
    #expect(taken?.advice != nil)
    try await client.deleteVolume("a name, ü")
    let gone = await error { try await client.deleteVolume("a name, ü") }
    #expect(gone?.code == .noSuchVolume)
    let total = try await keys(place).list(KeyQuery(), context: .local(uid: 0)).total
    #expect(total == 0)
  }

  @Test func theKeyOfAVolumeIsNotDeletedUnderIt() async throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments)
    #expect(daemon.announcement == "ready\n")
    let made = try await client(place).createVolume(VolumeCreation(name: "v", size: 1 << 20))
    let id = made.keyID
    let context = RequestContext.local(uid: 0)
    let record = try await keys(place).record(of: id, context: context)
    #expect(record.consumers.map(\.consumer) == [.volume(made.id.description)])
    do throws(KeyManagerError) {
      try await keys(place).delete(id, context: context)
      Issue.record("the key was deleted")
    } catch {
      #expect(error.code == .inUse)
      #expect(error.message.contains("volume \(made.id) (coffer)"))
    }
    try await keys(place).delete(id, force: true, context: context)
    try await client(place).deleteVolume("v")
  }

  @Test func aProjectsVolumesAreItsOwn() async throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments)
    #expect(daemon.announcement == "ready\n")
    let made = try await client(place, project: "one").createVolume(
      VolumeCreation(name: "v", size: 1 << 20))
    #expect(made.projectID == "one")
    let others = client(place, project: "two")
    #expect(try await others.volumes().isEmpty)
    for name in ["v", made.id.description] {
      let denied = await error { _ = try await others.volume(name) }
      #expect(denied?.code == .noSuchVolume)
      let kept = await error { try await others.deleteVolume(name) }
      #expect(kept?.code == .noSuchVolume)
    }
    #expect(try await client(place, project: "one").volumes() == [made])
  }

  @Test func anImageIsImportedWithItsPassphrase() async throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments)
    #expect(daemon.announcement == "ready\n")
    let image = "\(place.path)/an image.luks"
    try makeImage(at: "'\(image)'")
    let client = client(place)
    let request = VolumeImport(name: "i", image: image)
    let wrong = await error {
      _ = try await client.importVolume(request, passphrase: try secret("new"))
    }
    #expect(wrong?.code == .wrongKey)
    let missing = await error {
      _ = try await client.importVolume(
        VolumeImport(name: "i", image: "\(image).not"), passphrase: try secret("old"))
    }
    #expect(missing?.code == .noSuchImage)
    let volume = try await client.importVolume(request, passphrase: try secret("old"))
    #expect(volume.image == image)
    #expect(!volume.inPool)
  }

  /// A slow piece of work on one image holds up neither other requests nor other images.
  @Test func manyAtOnce() async throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments)
    #expect(daemon.announcement == "ready\n")
    let client = client(place)
    let names = try await withThrowingTaskGroup(of: String.self) { group in
      for number in 0..<8 {
        group.addTask {
          try await client.createVolume(VolumeCreation(name: "v\(number)", size: 1 << 20)).name
        }
        group.addTask { try await client.status().version }
      }
      return try await group.reduce(into: Set<String>()) { $0.insert($1) }
    }
    #expect(names.count == 9)
    #expect(try await client.volumes().count == 8)
  }

  @Test func anAttachmentIsItsProcesses() async throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments)
    #expect(daemon.announcement == "ready\n")
    let client = client(place)
    let volume = try await client.createVolume(VolumeCreation(name: "v", size: 1 << 20))
    // What it says of itself is not believed.
    let attachment = try await client.register(
      AttachmentDocument(
        id: .random(), volumeID: volume.id, keyID: volume.keyID, image: volume.image,
        mountpoint: "\(place.path)/mnt", pid: 1, uid: 61_004, readOnly: false, createdAt: ""))
    #expect(attachment.pid == getpid())
    #expect(attachment.uid == 0)
    #expect(try await client.attachments() == [attachment])
    try await client.unregister(attachment.id)
    #expect(try await client.attachments().isEmpty)
    let gone = await error { try await client.unregister(attachment.id) }
    #expect(gone != nil)
  }

  @Test func anInstanceWithAnAttachmentDoesNotStopForIdleness() async throws {
    let place = try Place()
    let daemon = try DaemonProcess(place.arguments + ["--idle-exit", "1"])
    #expect(daemon.announcement == "ready\n")
    let client = client(place)
    let attachment = try await client.register(
      AttachmentDocument(
        id: .random(), volumeID: nil, keyID: .random(), image: "\(place.path)/image",
        mountpoint: "\(place.path)/mnt", pid: getpid(), uid: 0, readOnly: false, createdAt: ""))
    try await Task.sleep(for: .seconds(3))
    #expect(try await client.attachments() == [attachment])
    try await client.unregister(attachment.id)
    #expect(try daemon.wait() == .exited(0))
  }

  /// Whatever a kill interrupts is undone or finished at the next start.
  @Test func aKillInTheMiddleLeavesNothingHalf() async throws {
    let place = try Place()
    for round in 0..<4 {
      let daemon = try DaemonProcess(place.arguments)
      #expect(daemon.announcement == "ready\n")
      let client = client(place)
      async let result = error {
        _ = try await client.createVolume(VolumeCreation(name: "v\(round)", size: 1 << 20))
      }
      try await Task.sleep(for: .milliseconds(5 << round))
      daemon.signal(SIGKILL)
      _ = try daemon.wait()
      _ = await result
    }
    let daemon = try DaemonProcess(place.arguments)
    #expect(daemon.announcement == "ready\n")
    let volumes = try await client(place).volumes()
    for volume in volumes {
      #expect(volume.state == .available)
      #expect(access(volume.image, R_OK) == 0)
      let record = try await keys(place).record(of: volume.keyID, context: .local(uid: 0))
      #expect(record.hasValue)
    }
    let total = try await keys(place).list(KeyQuery(), context: .local(uid: 0)).total
    #expect(total == volumes.count)
  }
}
