import DataPlaneTesting
import Glibc
import HostSystem
import ImageMount
import Synchronization
import Testing

/// Mounting, unmounting, and what goes wrong with either.
@Suite(.eachTransport)
struct LifeCycleTests {
  private func code(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "none"
    } catch let failure as FixtureMount.Failure {
      return failure.code
    } catch let error as ImageMountError {
      return error.code.rawValue
    } catch {
      return "\(error)"
    }
  }

  // MARK: Mountpoints that cannot be used

  @Test func unusableMountpoints() throws {
    let image = try TestImage(size: 1 << 20)
    let failure = { (directory: String, options: [String]) in
      code { _ = try FixtureMount(image, at: directory, options: options) }
    }
    #expect(failure(image.directory + "/missing", []) == "mountpointMissing")
    #expect(failure(image.directory + "/missing/deeper", []) == "mountpointMissing")
    #expect(failure(image.path, []) == "mountpointNotDirectory")
    #expect(failure(image.path + "/below", []) == "mountpointNotDirectory")
    #expect(failure(image.directory, []) == "mountpointNotEmpty")
    let mount = try FixtureMount(image)
    #expect(failure(mount.directory, []) == "alreadyMounted")
    #expect(failure(mount.directory + "/volume", []) == "mountpointNotDirectory")
    #expect(try Mountpoint.state(of: mount.directory) == .mounted)
    #expect(try Mountpoint.state(of: image.directory) == .free)
    // The failed attempts left the first mount alone.
    #expect(try OpenFile(mount.file, O_RDWR).read(0..<16)?.count == 16)
  }

  @Test func unknownOption() throws {
    let image = try TestImage(size: 1 << 20)
    let seen = code { _ = try FixtureMount(image, options: ["frobnicate"]) }
    #expect(seen == "invalidOption")
  }

  @Test func aStaleMountIsRecognisedAndCleanedUp() throws {
    let image = try TestImage(size: 1 << 20)
    let mount = try FixtureMount(image)
    try mount.end(by: SIGKILL)
    #expect(try Mountpoint.state(of: mount.directory) == .stale)
    #expect(
      code { _ = try FixtureMount(image, at: mount.directory) } == "mountpointStale")
    try Mountpoint.unmount(mount.directory)
    #expect(try Mountpoint.state(of: mount.directory) == .free)
    #expect(code { try Mountpoint.unmount(mount.directory) } == "notMounted")
    let again = try FixtureMount(image, at: mount.directory)
    #expect(try OpenFile(again.file, O_RDWR).read(0..<16)?.count == 16)
  }

  // MARK: Options

  /// Root serves for another user: he owns the file and gets in, a third one does not.
  @Test func ownersAndOthers() throws {
    let mount = try FixtureMount(
      TestImage(size: 1 << 20), options: ["allow_other", "uid=65534", "gid=65534"])
    chmod(mount.image.directory, 0o755)
    var status = stat()
    #expect(stat(mount.file, &status) == 0)
    #expect(status.st_uid == 65534 && status.st_gid == 65534)
    let read = ["/usr/bin/head", "-c", "10", mount.file]
    let owner = try Command.run("/usr/sbin/runuser", ["-u", "nobody", "--"] + read)
    #expect(owner.status == 0)
    let other = try Command.run("/usr/sbin/runuser", ["-u", "daemon", "--"] + read)
    #expect(other.output.contains("Permission denied"))
  }

  @Test func flagsReachTheKernel() throws {
    let mount = try FixtureMount(
      TestImage(size: 1 << 20), options: ["noatime", "sync", "threads=2"])
    let table = try String(
      decoding: Descriptor.open("/proc/self/mounts", O_RDONLY).readAll(limit: 1 << 20),
      as: UTF8.self)
    let line = try #require(
      table.split(separator: "\n").first { $0.contains(" \(mount.directory) ") })
    for flag in ["nosuid", "nodev", "noatime", "sync"] {
      #expect(line.contains(flag))
    }
    if EachTransport.current == .classic {
      // Two workers and the thread that waits for them; they start after the mount is there.
      var count = 0
      for _ in 0..<1000 where count < 3 {
        usleep(1000)
        let threads = try Command.run("/bin/ls", ["/proc/\(mount.pid)/task"])
        count = threads.output.split(separator: "\n").count
      }
      #expect(count == 3)
    }
  }

  // MARK: The end

  @Test(arguments: [SIGTERM, SIGINT, SIGHUP])
  func signalsUnmount(signal: Int32) throws {
    let mount = try FixtureMount(TestImage(size: 1 << 20))
    let ended = try mount.end(by: signal)
    #expect(ended.status == HostSystem.ExitStatus.exited(0))
    #expect(ended.text == "")
    #expect(try MountTable.entry(at: mount.directory) == nil)
  }

  /// The connection is cut while the mount is there, as an administrator can.
  @Test func anAbortedConnectionLeavesNoDeadMount() throws {
    let mount = try FixtureMount(TestImage(size: 1 << 20))
    let device = try #require(try MountTable.entry(at: mount.directory)).device
    let control = "/sys/fs/fuse/connections"
    if access(control + "/" + device.dropFirst(2), F_OK) != 0 {
      #expect(Glibc.mount("fusectl", control, "fusectl", 0, nil) == 0)
    }
    let abort = try OpenFile("\(control)/\(device.dropFirst(2))/abort", O_WRONLY)
    #expect(write(abort.number, "1", 1) == 1)
    let ended = try mount.wait()
    #expect(ended.status == HostSystem.ExitStatus.exited(0))
    #expect(try MountTable.entry(at: mount.directory) == nil)
  }

  @Test func unmountedByAnother() throws {
    let mount = try FixtureMount(TestImage(size: 1 << 20))
    try Mountpoint.unmount(mount.directory)
    let ended = try mount.wait()
    #expect(ended.status == HostSystem.ExitStatus.exited(0))
  }

  /// Whoever has the file open goes on until it is closed; nothing is lost.
  @Test func aBusyMountIsServedToItsLastUser() throws {
    let image = try TestImage(size: 1 << 20)
    let mount = try FixtureMount(image)
    var file: OpenFile? = try OpenFile(mount.file, O_RDWR)
    #expect(code { try Mountpoint.unmount(mount.directory) } == "busy")
    kill(mount.pid, SIGTERM)
    while try MountTable.entry(at: mount.directory) != nil { usleep(1000) }
    #expect(file!.write([1, 2, 3], at: 100) == 3)
    #expect(fsync(file!.number) == 0)
    #expect(file!.read(100..<103) == [1, 2, 3])
    file = nil
    let ended = try mount.wait()
    #expect(ended.status == HostSystem.ExitStatus.exited(0))
    #expect(ended.text.contains("in use"))
    let again = try FixtureMount(image)
    #expect(try OpenFile(again.file, O_RDWR).read(100..<103) == [1, 2, 3])
  }

  @Test func whatIsMountedOnTopIsNotUnmounted() throws {
    let mount = try FixtureMount(TestImage(size: 1 << 20))
    #expect(Glibc.mount("tmpfs", mount.directory, "tmpfs", 0, nil) == 0)
    defer { umount2(mount.directory, Int32(MNT_DETACH)) }
    #expect(code { try Mountpoint.unmount(mount.directory) } == "busy")
    #expect(try MountTable.entry(at: mount.directory)?.type == "tmpfs")
  }

  /// What fsync returned for is there after the serving process was killed in the middle of writes.
  @Test(arguments: [O_RDWR, O_RDWR | OpenFile.direct])
  func killedWhileWriting(flags: Int32) throws {
    let size = 8 << 20
    let image = try TestImage(size: UInt64(size))
    let mount = try FixtureMount(image)
    #expect(try OpenFile(mount.file, O_RDWR).allocate(mode: zeroRange, 0..<size) == 0)
    let (path, pid) = (mount.file, mount.pid)
    let threads = 4
    // Each thread writes records of an odd length in its own part, one after the other, each with its number.
    let (record, part) = (1500, size / threads)
    let synced = Mutex([Int](repeating: 0, count: threads))
    onThreads(threads) { thread in
      let file = try! OpenFile(path, flags)
      for number in 0..<part / record {
        let bytes = Self.record(thread, number, record)
        guard file.write(bytes, at: thread * part + number * record) == record else { return }
        guard number % 10 != 9 || fsync(file.number) == 0 else { return }
        if number % 10 == 9 {
          let total = synced.withLock { counts in
            counts[thread] = number + 1
            return counts.reduce(0, +)
          }
          if total >= 800 { kill(pid, SIGKILL) }
        }
      }
    }
    try mount.end(by: SIGKILL)
    try Mountpoint.unmount(mount.directory, lazily: true)
    let again = try FixtureMount(image, at: mount.directory)
    let file = try OpenFile(again.file, O_RDONLY)
    for (thread, count) in synced.withLock({ $0 }).enumerated() {
      for number in 0..<count {
        let start = thread * part + number * record
        #expect(file.read(start..<start + record) == Self.record(thread, number, record))
      }
    }
  }

  private static func record(_ thread: Int, _ number: Int, _ length: Int) -> [UInt8] {
    var random = SeededGenerator(seed: UInt64(thread) << 32 | UInt64(number))
    return random.bytes(length)
  }

  // MARK: Ordinary users

  /// Everything through fusermount3, as `nobody`.
  @Test func anOrdinaryUserMounts() throws {
    try DeviceMode.allowUsers()
    let image = try TestImage(size: 1 << 20)
    let mount = try FixtureMount(image, user: "nobody")
    let write = try Command.run(
      "/usr/sbin/runuser",
      [
        "-u", "nobody", "--", "/bin/sh", "-c",
        "printf hello | dd of=\(mount.file) bs=5 seek=10 conv=notrunc,fsync status=none "
          + "&& dd if=\(mount.file) bs=5 skip=10 count=1 status=none",
      ])
    #expect(write.output == "hello")
    // Nobody else gets in, not even root.
    #expect(open(mount.file, O_RDONLY) == -1)
    #expect(errno == EACCES)
    let entry = try #require(try MountTable.entry(at: mount.directory))
    #expect(entry.type == "fuse.coffer")
    #expect(entry.source == "fixture,with\\comma")
    #expect(entry.superOption("user_id") == "65534")
    let again = code { _ = try FixtureMount(image, at: mount.directory, user: "nobody") }
    #expect(again == "alreadyMounted")
    let ended = try mount.end()
    #expect(ended.status == HostSystem.ExitStatus.exited(0))
    #expect(ended.text == "")
    #expect(try MountTable.entry(at: mount.directory) == nil)
  }

  @Test func anOrdinaryUserNeedsAllowOtherInTheConfiguration() throws {
    let configuration = try Descriptor.open("/etc/fuse.conf", O_RDONLY).readAll(limit: 65536)
    let isAllowed = String(decoding: configuration, as: UTF8.self)
      .split(separator: "\n").contains("user_allow_other")
    try DeviceMode.allowUsers()
    let image = try TestImage(size: 1 << 20)
    let seen = code { _ = try FixtureMount(image, options: ["allow_other"], user: "nobody") }
    #expect(seen == (isAllowed ? "none" : "allowOtherForbidden"))
  }

  @Test func anOrdinaryUserMountsOnlyWhereHeMayWrite() throws {
    try DeviceMode.allowUsers()
    let image = try TestImage(size: 1 << 20)
    let directory = try TestImage(size: 4096).directory
    #expect(mkdir(directory, 0o755) == 0)
    defer { rmdir(directory) }
    let seen = code { _ = try FixtureMount(image, at: directory, user: "nobody") }
    #expect(seen == "permissionDenied")
  }

  /// A user whose limit leaves no memory for rings.
  @Test func withoutRingsOnlyWhoDemandsThemFails() throws {
    try DeviceMode.allowUsers()
    let image = try TestImage(size: 1 << 20)
    let demanded = code {
      _ = try FixtureMount(
        image, options: ["transport=uring"], user: "nobody", lockedMemory: 16 << 10)
    }
    #expect(demanded == "noRings")
    let mount = try FixtureMount(
      image, options: ["transport=auto"], user: "nobody", lockedMemory: 16 << 10)
    let read = try Command.run(
      "/usr/sbin/runuser", ["-u", "nobody", "--", "/usr/bin/head", "-c", "10", mount.file])
    #expect(read.status == 0)
  }

  /// The limit is that of an ordinary user; root may lock without one.
  @Test func unlockedMemoryIsReported() throws {
    try DeviceMode.allowUsers()
    let mount = try FixtureMount(
      TestImage(size: 1 << 20), user: "nobody", lockedMemory: 1 << 20)
    let ended = try mount.end()
    #expect(ended.status == HostSystem.ExitStatus.exited(0))
    #expect(ended.text.contains("LimitMEMLOCK"))
  }
}

/// The mode of /dev/fuse.
enum DeviceMode {
  /// As udev makes it on every Debian; bare virtual machines and containers may differ.
  static func allowUsers() throws {
    var status = stat()
    try #require(stat("/dev/fuse", &status) == 0)
    if status.st_mode & 0o666 != 0o666 { try #require(chmod("/dev/fuse", 0o666) == 0) }
  }
}
