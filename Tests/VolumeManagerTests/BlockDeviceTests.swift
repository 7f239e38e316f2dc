import Glibc
import HostSystem
import Testing
import VolumeAPI

@testable import VolumeManager

@Suite struct BlockDeviceTests {
  /// A loop device over a new file of `size` bytes in the sandbox.
  private func device(_ sandbox: Sandbox, size: Int) throws -> LoopDevice {
    let file = try Descriptor.open("\(sandbox.directory)/disk", O_RDWR | O_CREAT)
    ftruncate(file.rawValue, off_t(size))
    return try .attach(to: file, readOnly: false)
  }

  @Test func takesTheWholeDevice() async throws {
    let sandbox = try await Sandbox()
    let device = try device(sandbox, size: 24 << 20)
    let volume = try await sandbox.create(size: nil, image: device.path, caller: sandbox.root)
    #expect(volume.size == 8 << 20)
    #expect(volume.image == device.path)
    try await sandbox.expectOpens(volume)

    for force in [false, true] {
      let again = await volumeError {
        _ = try await sandbox.create(
          "other", size: nil, image: device.path, force: force, caller: sandbox.root)
      }
      #expect(again?.code == .alreadyExists)
    }
    symlink(device.path, "\(sandbox.directory)/alias")
    let alias = await volumeError {
      _ = try await sandbox.create(
        "other", size: nil, image: "\(sandbox.directory)/alias", force: true, caller: sandbox.root)
    }
    #expect(alias?.code == .alreadyExists)
    try await sandbox.expectOpens(volume)

    try await sandbox.delete(caller: sandbox.root)
    #expect(try await sandbox.manager.volumes(context: sandbox.context).isEmpty)
    #expect(try stat.of(device.path).st_mode & S_IFMT == S_IFBLK)
    _ = try await sandbox.create("again", size: nil, image: device.path, caller: sandbox.root)
  }

  @Test func needsForceToOverwrite() async throws {
    let sandbox = try await Sandbox()
    let device = try device(sandbox, size: 32 << 20)
    try Tool.check("/bin/sh", ["-c", "printf x | dd of=\(device.path) bs=1 seek=1048575"])
    let error = await volumeError {
      _ = try await sandbox.create(size: nil, image: device.path, caller: sandbox.root)
    }
    #expect(error?.code == .alreadyExists)
    #expect(error?.advice?.contains("--force") == true)
    let kept = try Tool.check(
      "/bin/sh", ["-c", "dd if=\(device.path) bs=1 skip=1048575 count=1 2>/dev/null"])
    #expect(kept == "x")
    try await sandbox.expectNoOrphans()
    let volume = try await sandbox.create(
      size: nil, image: device.path, force: true, caller: sandbox.root)
    #expect(volume.size == 16 << 20)
    try await sandbox.expectOpens(volume)
  }

  @Test func saysWhatFits() async throws {
    let sandbox = try await Sandbox()
    let device = try device(sandbox, size: 16 << 20 + 4096 + 512)
    for (size, sectorSize) in [(UInt64(8192), 512), (4096, 512), (nil, 4096)] {
      let error = await volumeError {
        _ = try await sandbox.create(
          size: size, sectorSize: sectorSize, image: device.path, caller: sandbox.root)
      }
      #expect(error?.code == .invalidRequest, "\(error?.message ?? "")")
    }
    let volume = try await sandbox.create(
      size: nil, sectorSize: 512, image: device.path, caller: sandbox.root)
    #expect(volume.size == 4096 + 512)
  }

  @Test func leavesADeviceThatIsInUseOrNotTheCallersAlone() async throws {
    let sandbox = try await Sandbox()
    let device = try device(sandbox, size: 32 << 20)
    let stranger = await volumeError {
      _ = try await sandbox.create(size: nil, image: device.path)
    }
    #expect(stranger?.code == .notAuthorized)
    try Tool.check("/sbin/mkfs.ext4", ["-q", device.path])
    let mountpoint = "\(sandbox.directory)/mnt"
    mkdir(mountpoint, 0o755)
    try Tool.check("/bin/mount", [device.path, mountpoint])
    defer { _ = try? Tool.run("/bin/umount", [mountpoint]) }
    let error = await volumeError {
      _ = try await sandbox.create(
        size: nil, image: device.path, force: true, caller: sandbox.root)
    }
    #expect(error?.code == .inUse)
    try Tool.check("/bin/sh", ["-c", "echo hello > \(mountpoint)/file && sync"])
    try await sandbox.expectNoOrphans()
  }
}
