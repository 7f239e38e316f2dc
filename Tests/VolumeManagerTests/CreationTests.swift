import Glibc
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
    #expect(try await sandbox.manager.volume("data", context: sandbox.context) == volume)
    #expect(
      try await sandbox.manager.volume(volume.id.description, context: sandbox.context) == volume)
    #expect(try stat.of(sandbox.pool).st_mode == S_IFDIR | 0o711)
    #expect(try stat.of("\(sandbox.directory)/volumes.db").st_mode == S_IFREG | 0o600)
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
}
