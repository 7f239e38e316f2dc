import Glibc
import HostSystem
import KeyManager
import Testing
import VolumeAPI

@testable import VolumeManager

/// Failures of what is below: the key manager, the file system, the rights of the daemon.
@Suite struct FailureTests {
  @Test(arguments: [FailingKeys.Request.create, .get], [nil, "image"])
  func undoesAllWithoutTheKeyManager(request: FailingKeys.Request, image: String?) async throws {
    let sandbox = try await Sandbox(through: { FailingKeys($0, failing: [request]) })
    let error = await volumeError {
      _ = try await sandbox.create(image: image.map { "\(sandbox.home)/\($0)" })
    }
    #expect(error?.code == .keyManagerUnavailable)
    try await sandbox.expectNoOrphans()
  }

  @Test func canUndoLaterWhatCouldNotBeUndone() async throws {
    for isDeleted in [false, true] {
      let failing = Box()
      let sandbox = try await Sandbox(through: {
        let keys = FailingKeys($0, failing: [.get, .delete])
        failing.keys = keys
        return keys
      })
      let error = await volumeError { _ = try await sandbox.create() }
      #expect(error?.code == .keyManagerUnavailable)
      #expect(error?.advice?.contains("coffer volume delete") == true)
      let left = try await sandbox.manager.volume("data", context: sandbox.context)
      #expect(left.state == .error)
      failing.keys?.heal()
      if isDeleted {
        try await sandbox.delete()
      } else {
        #expect(try await sandbox.manager.recover().count == 1)
      }
      #expect(try await sandbox.manager.volumes(context: sandbox.context).isEmpty)
      try await sandbox.expectNoOrphans()
    }
  }

  @Test func deletesTheKeyLaterWhenTheKeyManagerDoesNotAnswer() async throws {
    let failing = Box()
    let sandbox = try await Sandbox(through: {
      let keys = FailingKeys($0, failing: [.delete])
      failing.keys = keys
      return keys
    })
    let volume = try await sandbox.create()
    let error = await volumeError { try await sandbox.delete() }
    #expect(error?.code == .keyManagerUnavailable)
    #expect(access(volume.image, F_OK) != 0)
    #expect(
      try await sandbox.manager.volume("data", context: sandbox.context).state == .deleting)
    failing.keys?.heal()
    #expect(try await sandbox.manager.recover().count == 1)
    try await sandbox.expectNoOrphans()
  }

  @Test func saysThatTheDiskIsFull() async throws {
    let sandbox = try await Sandbox()
    try Tool.check(
      "/bin/mount", ["-t", "tmpfs", "-o", "size=8m,mode=0777", "tmpfs", sandbox.home])
    defer { _ = try? Tool.run("/bin/umount", [sandbox.home]) }
    let error = await volumeError {
      _ = try await sandbox.create(image: "\(sandbox.home)/image")
    }
    #expect(error?.code == .noSpace)
    #expect(error?.advice != nil)
    try await sandbox.expectNoOrphans()
  }

  @Test func keepsNoneOfRootsGroups() async throws {
    let sandbox = try await Sandbox()
    let place = "\(sandbox.directory)/place"
    mkdir(place, 0o770)
    chmod(place, 0o770)
    let error = await volumeError { _ = try await sandbox.create(image: "\(place)/image") }
    #expect(error?.code == .notAuthorized)
    chown(place, 0, 61001)
    _ = try await sandbox.create(image: "\(place)/image")
    try await sandbox.delete()
  }

  @Test func usesTheGroupsThatTheUserHas() async throws {
    let sandbox = try await Sandbox()
    // Every Debian has the user and, with it as its only member, such a group can be made for the test.
    let name = "coffer-test-\(getpid())"
    try Tool.check("/usr/sbin/groupadd", [name])
    defer { _ = try? Tool.run("/usr/sbin/groupdel", [name]) }
    try Tool.check("/usr/sbin/usermod", ["-a", "-G", name, "nobody"])
    let nobody = try #require(getpwnam("nobody")).pointee
    let gid = try #require(getgrnam(name)).pointee.gr_gid
    let place = "\(sandbox.directory)/place"
    mkdir(place, 0o770)
    chmod(place, 0o770)
    chown(place, 0, gid)
    let caller = PeerCredentials(pid: getpid(), uid: nobody.pw_uid, gid: nobody.pw_gid)
    let volume = try await sandbox.create(image: "\(place)/image", caller: caller)
    #expect(try stat.of(volume.image).st_gid == nobody.pw_gid)
    try await sandbox.delete(caller: caller)
  }

  @Test func worksForItsOwnUserWithoutRootsRights() async throws {
    let scratch = try ScratchDirectory()
    // Where the tests were built others may have no way to.
    let program = "\(scratch.path)/cofferd"
    try Tool.check("/bin/cp", [WorkerCommand.built.executable, program])
    await #expect(processExitsWith: .exitCode(7)) {
      [home = "\(scratch.path)/home" as String, program = program as String] in
      setgid(61001)
      setuid(61001)
      mkdir("\(home)/home", 0o700)
      let sandbox = try await Sandbox(in: home, worker: WorkerCommand(executable: program))
      _ = try await sandbox.create("pool")
      _ = try await sandbox.create("home", image: "\(sandbox.home)/image")
      _ = try await sandbox.create("root's", caller: sandbox.root)
      let stranger = PeerCredentials(pid: getpid(), uid: 61002, gid: 61002)
      for image in [nil, "\(sandbox.home)/other"] {
        let error = await volumeError {
          _ = try await sandbox.create("theirs", image: image, caller: stranger)
        }
        guard error?.code == .notAuthorized else { exit(1) }
      }
      try await sandbox.expectNoOrphans()
      for name in ["pool", "home", "root's"] { try await sandbox.delete(name) }
      try await sandbox.expectNoOrphans()
      exit(7)
    }
  }

  @Test func oneDaemonAtATimeHasThePool() async throws {
    let sandbox = try await Sandbox()
    let error = await volumeError {
      _ = try await VolumeManager.open(
        database: "\(sandbox.directory)/other.db", pool: sandbox.pool, keys: sandbox.keys)
    }
    #expect(error?.code == .inUse)
  }
}

/// Hands out what is made within `Sandbox.init`.
private final class Box: @unchecked Sendable {
  // @unchecked: written once, before the sandbox exists, and read after.
  var keys: FailingKeys?
}
