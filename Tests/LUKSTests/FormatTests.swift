import Glibc
import HostSystem
import SecretMemory
import Testing

@testable import LUKS

/// What `LUKSImage.format` makes, as stock cryptsetup sees it.
@Suite final class FormatTests {
  private let workspace: Workspace
  private let key: SecretBytes

  init() throws {
    workspace = try Workspace()
    key = try ManagedPassphrase.of(key: testKey())
  }

  @Test(arguments: [512, 1024, 2048, 4096], [32, 64])
  func stockCryptsetupAcceptsIt(sectorSize: Int, keySize: Int) async throws {
    let path = try workspace.emptyFile()
    let image = try await LUKSImage.format(
      path: path, uuid: "8b1b0c5e-4b8e-4f6a-9a52-0d2c9a3a7f11", keySize: keySize,
      sectorSize: sectorSize, size: 5 << 20, managedPassphrase: key,
      keyID: "11111111-2222-4333-8444-555555555555",
      volumeID: "66666666-7777-4888-9999-aaaaaaaaaaaa")
    let volumeKey = try await image.unlock(passphrase: key).exposed
    #expect(volumeKey.count == keySize)

    try workspace.run("printf %s \(testKeyText) >key")
    try workspace.run("cryptsetup open --test-passphrase --key-file key image")
    try workspace.run(
      "cryptsetup luksDump --batch-mode --key-file key --dump-volume-key --volume-key-file vk image"
    )
    #expect(try contents(of: workspace.file("vk")) == volumeKey)

    let dump = try workspace.run("cryptsetup luksDump image").lowercased()
    for line in [
      "version:       \t2", "uuid:          \t8b1b0c5e-4b8e-4f6a-9a52-0d2c9a3a7f11",
      "offset: 16777216 [bytes]", "length: (whole device)", "cipher: aes-xts-plain64",
      "sector: \(sectorSize) [bytes]", "key:        \(keySize * 8) bits", "pbkdf:      pbkdf2",
      "hash:       sha256", "iterations: 1000", "0: coffer\n\tkeyslot:    0",
    ] {
      #expect(dump.contains(line), "\(line)")
    }
    let token = try workspace.run("cryptsetup token export --token-id 0 image")
    #expect(
      token.filter { !$0.isWhitespace } == #"{"key_id":"11111111-2222-4333-8444-555555555555","#
        + #""keyslots":["0"],"type":"coffer","volume_id":"66666666-7777-4888-9999-aaaaaaaaaaaa"}"#)
  }

  @Test func fileIsAsLongAsAskedAndSparse() async throws {
    let path = try workspace.emptyFile()
    let size = UInt64(3 << 30) + 4096
    let image = try await make(path, size: size)
    #expect(image.decryptedSize == size)
    #expect(
      image.geometry
        == LUKSGeometry(
          version: 2, uuid: image.geometry.uuid, cipher: "aes-xts-plain64", keySize: 64,
          sectorSize: 4096, dataOffset: 16 << 20, size: nil, ivTweak: 0))
    let status = try Descriptor.open(path, O_RDONLY).status()
    #expect(status.st_size == (16 << 20) + Int(size))
    #expect(status.st_blocks * 512 < 17 << 20)
  }

  @Test func twoImagesShareNothing() async throws {
    let first = try await make(workspace.emptyFile("a"), size: 4096)
    let second = try await make(workspace.emptyFile("b"), size: 4096)
    #expect(first.geometry.uuid != second.geometry.uuid)
    let keys = [
      try await first.unlock(passphrase: key).exposed,
      try await second.unlock(passphrase: key).exposed,
    ]
    #expect(keys[0] != keys[1])
  }

  @Test(arguments: [0, 4095, 4097, UInt64.max, UInt64.max - 4095])
  func sizeMustBeWholeSectorsThatExist(size: UInt64) async throws {
    let path = try workspace.emptyFile()
    let error = try await failure(of: {
      try await LUKSImage.format(
        path: path, size: size, managedPassphrase: key, keyID: "k", volumeID: "v")
    })
    #expect(error.code == (size == UInt64.max - 4095 ? .noSpace : .invalidRequest))
    #expect(try LUKSTests.size(of: path) == 0)
  }

  @Test func fullDiskIsSaidToBeFull() async throws {
    try workspace.run("mkdir small && mount -t tmpfs -o size=8m tmpfs small")
    defer { _ = try? workspace.run("umount -l small") }
    let path = try workspace.emptyFile("small/image")
    let error = try await failure(of: {
      try await LUKSImage.format(
        path: path, size: 4096, managedPassphrase: key, keyID: "k", volumeID: "v")
    })
    #expect(error.code == .noSpace)
    #expect(error.message.contains(path))
  }

  @Test func missingFileIsNotMade() async throws {
    let error = try await failure(of: {
      try await LUKSImage.format(
        path: workspace.file("nothing"), size: 4096, managedPassphrase: key, keyID: "k",
        volumeID: "v")
    })
    #expect(error.code == .system(errno: ENOENT))
  }

  @Test func exclusiveImageLockDoesNotStandInTheWay() async throws {
    let path = try workspace.emptyFile()
    let lock = try Descriptor.open(path, O_RDWR)
    let locked = try ImageLock.tryLock(lock, exclusive: true)
    #expect(locked)
    _ = try await make(path, size: 4096)
    let image = try await LUKSImage.open(path: "/proc/self/fd/\(lock.rawValue)", readOnly: false)
    let keyslot = try await image.unlock(passphrase: key).keyslot
    #expect(keyslot == 0)
    let stillHeld = try ImageLock.isHeld(Descriptor.open(path, O_RDWR))
    #expect(stillHeld)
  }

  private func make(_ path: String, size: UInt64) async throws -> LUKSImage {
    try await LUKSImage.format(
      path: path, size: size, managedPassphrase: key, keyID: "k", volumeID: "v")
  }
}
