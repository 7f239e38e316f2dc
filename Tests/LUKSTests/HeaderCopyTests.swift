import Glibc
import SecretMemory
import Testing

@testable import LUKS

/// The two copies of a LUKS2 header, and what becomes of an image when one or both are damaged.
@Suite struct HeaderCopyTests {
  private let workspace: Workspace

  init() throws { workspace = try Workspace() }

  /// In the magic, the sequence number, the salt, the checksum, the padding, the JSON text and the zeros
  /// after it.
  static let places = [0, 20, 110, 450, 600, 4096, 4300, 0x3FFF]

  @Test(arguments: [0, 0x4000], places)
  func oneCopyIsRepairedFromTheOther(start: Int, place: Int) async throws {
    let path = try workspace.cryptsetupImage("--type luks2")
    let expected = try await LUKSImage.open(path: path, readOnly: true)
      .unlock(passphrase: secret("pw")).exposed
    var bytes = try contents(of: path)
    bytes[start + place] ^= 0x5A
    try write([bytes[start + place]], to: path, at: start + place)
    let which = start == 0 ? "first" : "second"

    do {
      let image = try await LUKSImage.open(path: path, readOnly: true)
      #expect(image.notices.count == 1)
      #expect(image.notices.first?.contains("the \(which) of the two copies") == true)
      #expect(image.notices.first?.contains("for writing repairs it") == true)
      let found = try await image.unlock(passphrase: secret("pw")).exposed
      #expect(found == expected)
      #expect(try holds(path, bytes))
    }
    do {
      let image = try await LUKSImage.open(path: path, readOnly: false)
      #expect(image.notices.first?.contains("the \(which) of the two copies") == true)
      #expect(image.notices.first?.contains("was repaired") == true)
    }
    let repaired = try await LUKSImage.open(path: path, readOnly: true)
    #expect(repaired.notices == [])
    let found = try await repaired.unlock(passphrase: secret("pw")).exposed
    #expect(found == expected)
    // The other copy is enough now.
    try write([0], to: path, at: 0x4000 - start)
    let other = try await LUKSImage.open(path: path, readOnly: true)
    #expect(other.notices.count == 1)
    let again = try await other.unlock(passphrase: secret("pw")).exposed
    #expect(again == expected)
  }

  @Test(arguments: places)
  func bothCopiesDamaged(place: Int) async throws {
    let path = try workspace.cryptsetupImage("--type luks2")
    for start in [0, 0x4000] {
      let byte = try contents(of: path)[start + place]
      try write([~byte], to: path, at: start + place)
    }
    let before = try contents(of: path)
    for readOnly in [true, false] {
      let error = try await failureToOpen(path, readOnly: readOnly)
      #expect(error.code == (place == 0 ? .notLUKS : .damagedHeader))
      #expect(error.message.contains(path))
    }
    #expect(try holds(path, before))
  }

  @Test func repairThatFailsDoesNotKeepTheImageShut() async throws {
    try workspace.run("mkdir small && mount -t tmpfs -o size=3m tmpfs small")
    defer { _ = try? workspace.run("umount -l small") }
    try workspace.run(
      "printf pw >key && truncate -s 20M small/image && "
        + "cryptsetup luksFormat \(workspace.fast) --type luks2 --offset 4096 small/image && "
        + "fallocate --punch-hole --offset 16384 --length 16384 small/image && "
        + "(cat /dev/zero >small/filler || true) 2>/dev/null")
    let image = try await LUKSImage.open(path: workspace.file("small/image"), readOnly: false)
    #expect(image.notices.first?.contains("the second of the two copies") == true)
    #expect(image.notices.first?.contains("the repair failed") == true)
    let keyslot = try await image.unlock(passphrase: secret("pw")).keyslot
    #expect(keyslot == 0)
  }

  /// As after a crash between the two writes of an update.
  @Test(arguments: [0, 0x4000])
  func outdatedCopy(start: Int) async throws {
    let path = try workspace.cryptsetupImage("--type luks2")
    let old = Array(try contents(of: path)[start..<start + 0x4000])
    try workspace.run("cryptsetup config --label new image")
    try write(old, to: path, at: start)
    let image = try await LUKSImage.open(path: path, readOnly: true)
    #expect(image.notices.first?.contains("out of date") == true)
    _ = try await LUKSImage.open(path: path, readOnly: false)
    #expect(try await LUKSImage.open(path: path, readOnly: true).notices == [])
    #expect(try workspace.run("cryptsetup luksDump image").contains("Label:         \tnew"))
  }

  @Test(arguments: ["32k", "64k", "256k", "4m"])
  func largerMetadataArea(size: String) async throws {
    let path = try workspace.cryptsetupImage(
      "--type luks2 --luks2-metadata-size \(size) --luks2-keyslots-size 512k", size: 12 << 20)
    try write([0], to: path, at: 0)
    _ = try await LUKSImage.open(path: path, readOnly: false)
    let image = try await LUKSImage.open(path: path, readOnly: false)
    #expect(image.notices == [])
    let keyslot = try await image.unlock(passphrase: secret("pw")).keyslot
    #expect(keyslot == 0)
  }

  /// Someone made a file system over the image: what is left of the header must not be put back.
  @Test func fileSystemOverTheFirstCopy() async throws {
    let path = try workspace.cryptsetupImage("--type luks2")
    try workspace.run("mke2fs -q -F -b 1024 -t ext2 other 4M 2>/dev/null")
    try workspace.run("dd if=other of=image bs=1k count=16 conv=notrunc status=none")
    let before = try contents(of: path)
    for readOnly in [true, false] {
      let error = try await failureToOpen(path, readOnly: readOnly)
      #expect(error.code == .damagedHeader)
      #expect(error.message.contains("ambiguous signatures"))
    }
    #expect(try holds(path, before))
  }

  /// An image that is refused for another reason is not repaired either.
  @Test func refusedImageIsNotRepaired() async throws {
    let path = try workspace.cryptsetupImage("--type luks2 --cipher aes-cbc-plain64 --key-size 256")
    try write([0], to: path, at: 0)
    let before = try contents(of: path)
    let error = try await failureToOpen(path, readOnly: false)
    #expect(error.code == .unsupported(.cipher))
    #expect(try holds(path, before))
  }

  @Test func damagedLUKS1() async throws {
    let path = try workspace.cryptsetupImage("--type luks1")
    // The number of stripes of the first keyslot, at 208 + 44.
    try write([0xFF, 0xFF, 0xFF, 0xFF], to: path, at: 252)
    let before = try contents(of: path)
    let error = try await failureToOpen(path, readOnly: false)
    #expect(error.code == .damagedHeader)
    #expect(error.message.contains("keyslot 0"))
    #expect(try holds(path, before))
  }
}
