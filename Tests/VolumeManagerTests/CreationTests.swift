import Glibc
import HostSystem
import KeyManager
import SecretMemory
import Testing
import VolumeAPI

@testable import VolumeManager

@Suite struct CreationTests {
  @Test(arguments: [512, 4096])
  func makesAnImageInThePoolThatCryptsetupOpens(sectorSize: Int) async throws {
    let sandbox = try await Sandbox()
    let volume = try await sandbox.create(size: 5 << 20, sectorSize: sectorSize)
    #expect(volume.state == .available)
    #expect(volume.size == 5 << 20)
    #expect(volume.inPool)
    #expect(volume.image == "\(sandbox.pool)/\(volume.id).img")
    let status = try stat.of(volume.image)
    #expect(status.st_uid == 61001 && status.st_gid == 61001)
    #expect(status.st_mode == S_IFREG | 0o600)
    #expect(status.st_size == 21 << 20)
    let uuid = try Cryptsetup.uuid(volume.image)
    #expect(uuid == volume.id.description)
    let segment = try Cryptsetup.metadata(volume.image).segments["0"]
    #expect(segment?.sector_size == sectorSize)
    #expect(segment?.offset == "\(16 << 20)")
    #expect(segment?.encryption == "aes-xts-plain64")
    try await sandbox.expectNoOrphans()
    for word in ["data", volume.id.description] {
      #expect(try await sandbox.manager.volume(word, context: sandbox.context) == volume)
    }
    #expect(try stat.of(sandbox.pool).st_mode == S_IFDIR | 0o711)
    #expect(try stat.of("\(sandbox.directory)/volumes.db").st_mode == S_IFREG | 0o600)
    #expect(await !sandbox.manager.isBusy())
    let image = try Descriptor.open(volume.image, O_RDWR)
    #expect(try ImageLock.tryLock(image, exclusive: true))
  }

  @Test func makesAnImageAtAPathWithTheCallersRights() async throws {
    let sandbox = try await Sandbox()
    let path = "\(sandbox.home)/my image.luks"
    let volume = try await sandbox.create(image: path)
    #expect(volume.image == path)
    #expect(!volume.inPool)
    let status = try stat.of(path)
    #expect(status.st_uid == 61001 && status.st_gid == 61001)
    #expect(status.st_mode == S_IFREG | 0o600)
    try await sandbox.expectNoOrphans()
  }

  @Test func namesThePlaceOfAnImageWithoutLinks() async throws {
    let sandbox = try await Sandbox()
    symlink(sandbox.home, "\(sandbox.directory)/link")
    let volume = try await sandbox.create(image: "\(sandbox.directory)/link/image")
    #expect(volume.image == "\(sandbox.home)/image")
  }

  @Test(arguments: ["file", "directory", "link", "fifo"])
  func leavesWhatIsThereAsItIs(kind: String) async throws {
    let sandbox = try await Sandbox()
    let path = "\(sandbox.home)/taken"
    switch kind {
    case "file": try Tool.check("/bin/sh", ["-c", "echo mine > \(path)"])
    case "directory": mkdir(path, 0o755)
    case "link": symlink("\(sandbox.home)/nowhere", path)
    default: mkfifo(path, 0o600)
    }
    chown(path, 61001, 61001)
    let before = try stat.of(path)
    let error = await volumeError { _ = try await sandbox.create(image: path) }
    #expect(error?.code == .alreadyExists)
    #expect(error?.advice != nil)
    let after = try stat.of(path)
    #expect(after.st_ino == before.st_ino && after.st_size == before.st_size)
    try await sandbox.expectNoOrphans(files: ["taken"])
  }

  @Test func doesNotWriteWhereTheCallerMayNot() async throws {
    let sandbox = try await Sandbox()
    let others = "\(sandbox.directory)/others"
    mkdir(others, 0o755)
    symlink(others, "\(sandbox.home)/way")
    for path in ["\(others)/image", "\(sandbox.home)/way/image", "\(sandbox.pool)/image"] {
      let error = await volumeError { _ = try await sandbox.create(image: path) }
      #expect(error?.code == .notAuthorized, "\(path)")
    }
    #expect(try Tool.check("/bin/ls", ["-A", others]).isEmpty)
    try await sandbox.expectNoOrphans(files: ["way"])
    let missing = await volumeError {
      _ = try await sandbox.create(image: "\(sandbox.home)/missing/image")
    }
    #expect(missing?.code == .noSuchImage)
  }

  @Test(arguments: [
    (0, 4096, "Use 4096."), (1000, 512, "Use 512 or 1024."),
    (1_000_448, 4096, "Use 999424 or 1003520, or a sector size of 512."),
    (100, 4096, "Use 4096."),
  ])
  func namesTheNearestSizes(size: UInt64, sectorSize: Int, advice: String) async throws {
    let sandbox = try await Sandbox()
    let error = await volumeError {
      _ = try await sandbox.create(size: size, sectorSize: sectorSize)
    }
    #expect(error?.code == .invalidRequest)
    #expect(error?.advice == advice)
    try await sandbox.expectNoOrphans()
  }

  @Test(arguments: [nil, UInt64.max - 4095, 1 << 63, 1 << 62])
  func refusesAbsurdSizes(size: UInt64?) async throws {
    let sandbox = try await Sandbox()
    for image in [nil, "\(sandbox.home)/image"] {
      let error = await volumeError { _ = try await sandbox.create(size: size, image: image) }
      #expect(error?.code == .invalidRequest, "\(error?.message ?? "")")
    }
    try await sandbox.expectNoOrphans()
  }

  @Test func refusesOtherSectorSizes() async throws {
    let sandbox = try await Sandbox()
    for sectorSize in [0, 1, 1024, 8192, -512] {
      let error = await volumeError { _ = try await sandbox.create(sectorSize: sectorSize) }
      #expect(error?.code == .invalidRequest)
    }
  }

  @Test func takesNoNameTwiceAndNoBadOne() async throws {
    let sandbox = try await Sandbox()
    _ = try await sandbox.create("data")
    #expect(await volumeError { _ = try await sandbox.create("data") }?.code == .alreadyExists)
    let bad = ["", "a/b", "a\nb", "a\u{7F}", String(repeating: "x", count: 256)]
    let id = VolumeID.random().description
    for name in bad + [id, id.uppercased()] {
      #expect(await volumeError { _ = try await sandbox.create(name) }?.code == .invalidRequest)
    }
    _ = try await sandbox.create(String(repeating: "ü", count: 255))
    _ = try await sandbox.manager.create(
      VolumeCreation(name: "data", size: 4096), context: .local(uid: 61002),
      caller: PeerCredentials(pid: getpid(), uid: 61002, gid: 61002))
    #expect(try await sandbox.manager.volumes(context: sandbox.context).count == 2)
  }

  @Test func doesNotKnowOtherProjectsVolumes() async throws {
    let sandbox = try await Sandbox()
    let volume = try await sandbox.create()
    let stranger = PeerCredentials(pid: getpid(), uid: 61002, gid: 61002)
    let manager = sandbox.manager
    for word in ["data", volume.id.description] {
      let theirs = await volumeError {
        _ = try await manager.volume(word, context: .local(uid: 61002))
      }
      #expect(theirs == VolumeManager.noSuchVolume(word))
      let deletion = await volumeError {
        try await manager.delete(word, context: .local(uid: 61002), caller: stranger)
      }
      #expect(deletion == VolumeManager.noSuchVolume(word))
    }
    #expect(try await manager.volumes(context: .local(uid: 61002)).isEmpty)
    try await sandbox.expectNoOrphans()
  }

  @Test func needsTheCreatorsRole() async throws {
    let sandbox = try await Sandbox()
    let reader = RequestContext(user: "x", project: "uid-61001", roles: [.reader])
    let error = await volumeError {
      _ = try await sandbox.manager.create(
        VolumeCreation(name: "data", size: 4096), context: reader, caller: sandbox.user)
    }
    #expect(error?.code == .notAuthorized)
    _ = try await sandbox.create()
    let deletion = await volumeError {
      try await sandbox.manager.delete("data", context: reader, caller: sandbox.user)
    }
    #expect(deletion?.code == .notAuthorized)
    try await sandbox.expectNoOrphans()
  }

  // MARK: Keys

  @Test func clonesAGivenKey() async throws {
    let sandbox = try await Sandbox()
    var bytes = Array(UInt8(0)..<32)
    let given = try await sandbox.keys.store(
      .taking(&bytes), KeyAttributes(name: "mine", algorithm: "AES", bitLength: 256),
      context: sandbox.context)
    let volume = try await sandbox.create(keyID: given)
    #expect(volume.keyID != given)
    let value = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
    #expect(Cryptsetup.opens(volume.image, value))
    try await sandbox.expectOpens(volume)
    try await sandbox.delete()
    let left = try await sandbox.keys.list(KeyQuery(), context: sandbox.context).records
    #expect(left.map(\.id) == [given])
  }

  @Test func refusesKeysThatDoNotFit() async throws {
    let sandbox = try await Sandbox()
    let context = sandbox.context
    func store(_ count: Int?, _ attributes: KeyAttributes, _ context: RequestContext) async throws
      -> KeyID
    {
      guard let count else {
        return try await sandbox.keys.store(nil, attributes, context: context)
      }
      return try await sandbox.keys.store(.zeroed(count: count), attributes, context: context)
    }
    let later = Timestamp(microseconds: Timestamp.now().microseconds + 3_600_000_000)
    let unfit = [
      try await store(15, KeyAttributes(type: .opaque), context),
      try await store(257, KeyAttributes(type: .opaque), context),
      try await store(nil, KeyAttributes(), context),
      try await store(32, KeyAttributes(type: .passphrase), context),
      try await store(32, KeyAttributes(type: .symmetric, algorithm: "3des"), context),
      try await store(32, KeyAttributes(expiration: later), context),
    ]
    for key in unfit {
      let error = await volumeError { _ = try await sandbox.create(keyID: key) }
      #expect(error?.code == .invalidRequest, "\(error?.message ?? "")")
    }
    let theirs = try await store(32, KeyAttributes(), .local(uid: 61002))
    for key in [theirs, .random()] {
      let error = await volumeError { _ = try await sandbox.create(keyID: key) }
      #expect(error?.code == .noSuchKey)
    }
    let left = try await sandbox.keys.list(KeyQuery(), context: context).records
    #expect(Set(left.map(\.id)) == Set(unfit))
    #expect(try await sandbox.manager.volumes(context: context).isEmpty)
  }

  // MARK: Workers that fail

  @Test(arguments: ["format", "formatted", "named"])
  func undoesAllWhenTheWorkerDies(fault: String) async throws {
    let sandbox = try await Sandbox(worker: .dying(at: fault))
    for image in fault == "named" ? ["\(sandbox.home)/image"] : [nil, "\(sandbox.home)/image"] {
      let error = await volumeError { _ = try await sandbox.create(image: image) }
      #expect(error?.code == .internalFailure)
      try await sandbox.expectNoOrphans()
    }
  }

  @Test func killsAWorkerThatDoesNotAnswer() async throws {
    let sandbox = try await Sandbox(
      worker: WorkerCommand(
        executable: "/bin/sleep", arguments: ["3600"], timeLimit: .milliseconds(50)))
    let error = await volumeError { _ = try await sandbox.create() }
    #expect(error?.code == .inputOutput)
    #expect(try await sandbox.manager.volumes(context: sandbox.context).isEmpty)
    try await sandbox.expectNoOrphans()
  }

  @Test(arguments: ["/nonexistent", "/bin/true", "/bin/false"])
  func undoesAllWithoutAWorker(program: String) async throws {
    let sandbox = try await Sandbox(worker: WorkerCommand(executable: program))
    _ = await volumeError { _ = try await sandbox.create() }
    try await sandbox.expectNoOrphans()
  }

  @Test func goesOnWhenTheRequestIsCancelled() async throws {
    let sandbox = try await Sandbox()
    let task = Task { _ = try await sandbox.create() }
    task.cancel()
    _ = await task.result
    try await sandbox.expectNoOrphans()
    #expect(try await sandbox.manager.volumes(context: sandbox.context).count == 1)
  }

  @Test func makesManyAtOnceUnderOneNameOnlyOnce() async throws {
    let sandbox = try await Sandbox()
    let made = await withTaskGroup(of: Bool.self) { group in
      for number in 0..<8 {
        group.addTask { (try? await sandbox.create("volume \(number % 4)", size: 4096)) != nil }
      }
      return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(made == 4)
    try await sandbox.expectNoOrphans()
  }
}
