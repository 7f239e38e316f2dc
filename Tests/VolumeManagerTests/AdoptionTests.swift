import Glibc
import HostSystem
import KeyManager
import SecretMemory
import Testing
import VolumeAPI

@testable import VolumeManager

@Suite struct AdoptionTests {
  @Test(arguments: [512, 4096], [256, 512])
  func adoptsALUKS2ImageAndGivesItBack(sectorSize: Int, keySize: Int) async throws {
    let sandbox = try await Sandbox()
    let path = try sandbox.makeImage("theirs", sectorSize: sectorSize, keySize: keySize)
    let volume = try await sandbox.adopt(path)
    #expect(volume.state == .available)
    #expect(volume.image == path)
    #expect(volume.luksVersion == 2)
    #expect(volume.sectorSize == sectorSize)
    #expect(volume.size == 8 << 20)
    #expect(Cryptsetup.opens(path, "correct horse"))
    #expect(try Cryptsetup.metadata(path).tokens["0"]?.keyslots == ["1"])
    try await sandbox.expectNoOrphans()

    try await sandbox.delete()
    let metadata = try Cryptsetup.metadata(path)
    #expect(metadata.tokens.isEmpty)
    #expect(Set(metadata.keyslots.keys) == ["0"])
    #expect(Cryptsetup.opens(path, "correct horse"))
    try await sandbox.expectNoOrphans(files: ["theirs"])
  }

  @Test(arguments: ["cryptsetup", "qemu-img"])
  func adoptsALUKS1ImageAndGivesItBack(maker: String) async throws {
    let sandbox = try await Sandbox()
    let path = "\(sandbox.home)/theirs"
    if maker == "cryptsetup" {
      _ = try sandbox.makeImage("theirs", type: "luks1")
    } else {
      try QemuImg.makeLUKS(path, size: "8M", passphrase: "correct horse")
      chown(path, 61001, 61001)
    }
    let volume = try await sandbox.adopt(path)
    #expect(volume.luksVersion == 1)
    #expect(volume.sectorSize == 512)
    if maker == "qemu-img" { #expect(volume.size == 8 << 20) }
    #expect(Cryptsetup.opens(path, "correct horse"))
    try await sandbox.expectNoOrphans()

    let key = try await sandbox.hexadecimal(volume.keyID)
    try await sandbox.delete()
    #expect(!Cryptsetup.opens(path, key))
    #expect(Cryptsetup.opens(path, "correct horse"))
    try await sandbox.expectNoOrphans(files: ["theirs"])
  }

  @Test func clonesAGivenKeyThatOpensTheImageAlready() async throws {
    let sandbox = try await Sandbox()
    var bytes = Array("0123456789abcdef".utf8)
    let given = try await sandbox.keys.store(
      .taking(&bytes), KeyAttributes(type: .opaque), context: sandbox.context)
    let hexadecimal = try await sandbox.hexadecimal(given)
    let path = "\(sandbox.home)/theirs"
    try Cryptsetup.format(path, passphrase: hexadecimal)
    chown(path, 61001, 61001)
    let volume = try await sandbox.adopt(path, passphrase: hexadecimal, keyID: given)
    #expect(volume.keyID != given)
    try await sandbox.delete()
    #expect(Cryptsetup.opens(path, hexadecimal))
    #expect(try Set(Cryptsetup.metadata(path).keyslots.keys) == ["0"])
  }

  @Test func changesNothingWhenItIsRefused() async throws {
    let sandbox = try await Sandbox()
    let path = try sandbox.makeImage("theirs")
    let header = try Tool.check("/usr/bin/sha256sum", [path])
    var refusals: [(String, VolumeErrorCode, () async throws -> Void)] = [
      ("wrong passphrase", .wrongKey, { _ = try await sandbox.adopt(path, passphrase: "wrong") }),
      ("no passphrase", .wrongKey, { _ = try await sandbox.adopt(path, passphrase: "") }),
      ("missing", .noSuchImage, { _ = try await sandbox.adopt("\(sandbox.home)/no") }),
      ("relative", .invalidRequest, { _ = try await sandbox.adopt("theirs") }),
      ("directory", .invalidRequest, { _ = try await sandbox.adopt(sandbox.home) }),
      ("bad name", .invalidRequest, { _ = try await sandbox.adopt(path, name: "a/b") }),
    ]
    try Tool.check("/bin/sh", ["-c", "head -c 20M /dev/zero > \(sandbox.home)/empty"])
    try Tool.check(
      "/bin/sh",
      [
        "-c",
        "cp \(path) \(sandbox.home)/bad && tr '\\0' x < /dev/zero | head -c 32K "
          + "| dd of=\(sandbox.home)/bad conv=notrunc bs=1K seek=1",
      ])
    try Tool.check("/bin/sh", ["-c", "head -c 10M \(path) > \(sandbox.home)/short"])
    for name in ["empty", "bad", "short"] {
      chown("\(sandbox.home)/\(name)", 61001, 61001)
      refusals.append(
        (name, .damagedImage, { _ = try await sandbox.adopt("\(sandbox.home)/\(name)") }))
    }
    for (what, code, body) in refusals {
      let error = await volumeError { try await body() }
      #expect(error?.code == code, "\(what): \(error?.message ?? "")")
    }
    #expect(try Tool.check("/usr/bin/sha256sum", [path]) == header)
    try await sandbox.expectNoOrphans(files: ["theirs", "empty", "bad", "short"])
  }

  @Test func doesNotTouchWhatIsNotTheCallers() async throws {
    let sandbox = try await Sandbox()
    let path = "\(sandbox.directory)/roots"
    try Cryptsetup.format(path)
    chmod(path, 0o600)
    symlink(path, "\(sandbox.home)/link")
    for place in [path, "\(sandbox.home)/link"] {
      let error = await volumeError { _ = try await sandbox.adopt(place) }
      #expect(error?.code == .notAuthorized)
    }
    let own = try sandbox.makeImage("theirs")
    link(own, "\(sandbox.home)/second")
    let linked = await volumeError { _ = try await sandbox.adopt(own) }
    #expect(linked?.code == .invalidRequest)
    try await sandbox.expectNoOrphans(files: ["theirs", "second", "link"])
  }

  @Test func adoptsNothingTwice() async throws {
    let sandbox = try await Sandbox()
    let made = try await sandbox.create("made", image: "\(sandbox.home)/made")
    let first = try sandbox.makeImage("luks2")
    let second = try sandbox.makeImage("luks1", type: "luks1")
    _ = try await sandbox.adopt(first, name: "first")
    _ = try await sandbox.adopt(second, name: "second")
    for path in [made.image, first, second] {
      let error = await volumeError { _ = try await sandbox.adopt(path, name: "again") }
      #expect(error?.code == .alreadyExists)
    }
    try await sandbox.expectNoOrphans()
  }

  @Test func refusesAnImageThatIsInUse() async throws {
    let sandbox = try await Sandbox()
    let path = try sandbox.makeImage("theirs")
    let holder = try Descriptor.open(path, O_RDWR)
    #expect(try ImageLock.tryLock(holder, exclusive: true))
    let error = await volumeError { _ = try await sandbox.adopt(path) }
    #expect(error?.code == .inUse)
    try await sandbox.expectNoOrphans(files: ["theirs"])
  }

  @Test(arguments: ["luks1", "luks2"])
  func keepsTheLastKeyslot(type: String) async throws {
    let sandbox = try await Sandbox()
    let path = try sandbox.makeImage("theirs", type: type)
    let volume = try await sandbox.adopt(path)
    try Tool.check("/sbin/cryptsetup", ["luksKillSlot", "--batch-mode", path, "0"])
    let error = await volumeError { try await sandbox.delete() }
    #expect(error?.code == .invalidRequest)
    #expect(error?.advice?.contains("luksAddKey") == true)
    #expect(try await sandbox.manager.volume("data", context: sandbox.context) == volume)
    try await sandbox.expectNoOrphans()
    unlink(path)
    try await sandbox.delete()
    try await sandbox.expectNoOrphans()
  }

  @Test(arguments: ["luks1", "luks2"], ["keyslot", "adopted"])
  func undoesAllWhenTheWorkerDies(type: String, fault: String) async throws {
    let sandbox = try await Sandbox(worker: .dying(at: fault))
    let path = try sandbox.makeImage("theirs", type: type)
    _ = await volumeError { _ = try await sandbox.adopt(path) }
    try await sandbox.expectNoOrphans(files: ["theirs"])
    #expect(Cryptsetup.opens(path, "correct horse"))
    let dump = try Tool.check("/sbin/cryptsetup", ["luksDump", path])
    #expect(!dump.contains("0: coffer"))
    #expect(!dump.contains("Key Slot 1: ENABLED") && !dump.contains("  1: luks2"))
  }
}
