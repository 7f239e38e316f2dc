import Glibc
import SecretMemory
import Testing

@testable import LUKS

/// Images on a loop device.
@Suite final class BlockDeviceTests {
  private let workspace: Workspace
  private let device: LoopDevice
  private let key: SecretBytes

  init() throws {
    workspace = try Workspace()
    device = try LoopDevice(workspace.emptyFile(size: 24 << 20), workspace)
    key = try ManagedPassphrase.of(key: testKey())
  }

  @Test func dataGoesToTheEndOfTheDevice() async throws {
    let image = try await LUKSImage.format(
      path: device.path, size: nil, managedPassphrase: key, keyID: "k", volumeID: "v")
    #expect(image.decryptedSize == 8 << 20)
    #expect(image.geometry.size == nil)
    try workspace.run("printf %s \(testKeyText) >key")
    try workspace.run("cryptsetup open --test-passphrase --key-file key \(device.path)")
  }

  @Test func tooSmallADeviceIsLeftAlone() async throws {
    let error = try await failure(of: {
      try await LUKSImage.format(
        path: device.path, size: (8 << 20) + 4096, managedPassphrase: key, keyID: "k", volumeID: "v"
      )
    })
    #expect(error.code == .noSpace)
    #expect(try contents(of: device.path).allSatisfy { $0 == 0 })
  }

  @Test func mountedDeviceIsLeftAlone() async throws {
    try workspace.run("mkfs.ext4 -q \(device.path) && mkdir mnt && mount \(device.path) mnt")
    defer { _ = try? workspace.run("umount mnt") }
    let error = try await failure(of: {
      try await LUKSImage.format(
        path: device.path, size: nil, managedPassphrase: key, keyID: "k", volumeID: "v")
    })
    #expect(error.code == .inUse)
    try workspace.run("umount mnt && e2fsck -fn \(device.path) && mount \(device.path) mnt")
  }

  @Test func readOnlyDeviceOpensForReadingAlone() async throws {
    _ = try await LUKSImage.format(
      path: device.path, size: nil, managedPassphrase: key, keyID: "k", volumeID: "v")
    let device = try LoopDevice(workspace.file("image"), workspace, options: "--read-only")
    let image = try await LUKSImage.open(path: device.path, readOnly: true)
    let keyslot = try await image.unlock(passphrase: key).keyslot
    #expect(keyslot == 0)
    let error = try await failureToOpen(device.path, readOnly: false)
    #expect(error.code == .system(errno: EROFS))
  }
}

/// A loop device that goes away with the value.
private final class LoopDevice {
  let path: String
  private let workspace: Workspace

  init(_ file: String, _ workspace: Workspace, options: String = "") throws {
    self.workspace = workspace
    path = String(try workspace.run("losetup \(options) --find --show \(file)").dropLast())
  }

  deinit {
    _ = try? workspace.run("losetup --detach \(path)")
  }
}
