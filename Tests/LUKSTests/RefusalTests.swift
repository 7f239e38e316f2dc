import Glibc
import HostSystem
import SecretMemory
import Testing

@testable import LUKS

/// What is not opened, with which reason; and that it stays as it was.
@Suite struct RefusalTests {
  private let workspace: Workspace

  init() throws { workspace = try Workspace() }

  // MARK: Not a LUKS image

  @Test func otherFiles() async throws {
    try workspace.run("mkdir dir && mkfifo fifo && mkfs.ext4 -q -F ext4 4M 2>/dev/null")
    _ = try workspace.emptyFile("empty")
    _ = try workspace.emptyFile("short", size: 100)
    _ = try workspace.emptyFile("zeros", size: 1 << 20)
    for name in ["dir", "fifo", "ext4", "empty", "short", "zeros"] {
      for readOnly in [true, false] {
        let error = try await failureToOpen(workspace.file(name), readOnly: readOnly)
        #expect(error.code == .notLUKS, "\(name): \(error)")
        #expect(error.message.contains(workspace.file(name)))
      }
    }
    let null = try await failureToOpen("/dev/null")
    #expect(null.code == .notLUKS)
    let missing = try await failureToOpen(workspace.file("missing"))
    #expect(missing.code == .system(errno: ENOENT))
    let notADirectory = try await failureToOpen(workspace.file("zeros/image"))
    #expect(notADirectory.code == .system(errno: ENOTDIR))
  }

  @Test func unreadableFile() async throws {
    let path = try workspace.cryptsetupImage("--type luks2")
    try workspace.run("chmod 711 . && chmod 600 image")
    #expect(await Self.codeAsNobody(path, readOnly: true) == .system(errno: EACCES))
    try workspace.run("chmod 644 image")
    #expect(await Self.codeAsNobody(path, readOnly: true) == nil)
    #expect(await Self.codeAsNobody(path, readOnly: false) == .system(errno: EACCES))
  }

  /// Opens as a user without rights. setfsuid(2), which the module Glibc leaves out, is of one thread, and
  /// without an `await` this is one.
  @LUKSActor private static func codeAsNobody(_ path: String, readOnly: Bool) -> LUKSError.Code? {
    let setfsuid = unsafeBitCast(
      dlsym(nil, "setfsuid"), to: (@convention(c) (uid_t) -> Int32).self)
    _ = setfsuid(65534)
    defer { _ = setfsuid(0) }
    do throws(LUKSError) {
      _ = try LUKSImage.open(path: path, readOnly: readOnly)
      return nil
    } catch {
      return error.code
    }
  }

  // MARK: LUKS images of other kinds

  @Test(arguments: [
    ("--type luks1 --cipher aes-cbc-essiv:sha256 --key-size 256", LUKSError.Feature.cipher),
    ("--type luks2 --cipher aes-cbc-essiv:sha256 --key-size 256", .cipher),
    ("--type luks2 --cipher aes-xts-plain --key-size 512", .cipher),
    ("--type luks2 --cipher aes-cbc-plain64 --key-size 256", .cipher),
  ])
  func ciphers(options: String, feature: LUKSError.Feature) async throws {
    let path = try workspace.cryptsetupImage(options)
    let error = try await expectRefusal(path)
    #expect(error.code == .unsupported(feature))
  }

  /// In headers that cryptsetup made, one thing changed.
  @Test(arguments: [
    (
      #"aes-xts-plain64","sector_size":4096"#, #"aes-xts-essiv:sha256","sector_size":4096"#,
      LUKSError.Feature.cipher
    ),
    (
      #""sector_size":4096"#,
      #""sector_size":4096,"integrity":{"type":"hmac(sha256)","journal_encryption":"none","#
        + #""journal_integrity":"none"}"#, .integrity
    ),
    (
      #""config":{"#, #""config":{"requirements":{"mandatory":["from-the-future"]},"#, .requirements
    ),
    (
      #""config":{"#, #""config":{"requirements":{"mandatory":["offline-reencrypt"]},"#,
      .reencryption
    ),
    (#"{"0":{"type":"crypt","#, #"{"0":{"type":"future","#, .segments),
    (#""offset":"2097152""#, #""offset":"0""#, .detachedHeader),
  ])
  func headers(old: String, new: String, feature: LUKSError.Feature) async throws {
    let path = try workspace.cryptsetupImage("--type luks2 --sector-size 4096")
    try RawHeader.replace(old, with: new, in: path)
    let error = try await expectRefusal(path)
    #expect(error.code == .unsupported(feature), "\(error)")
  }

  @Test(arguments: ["--type luks1", "--type luks2"])
  func detachedHeader(type: String) async throws {
    _ = try workspace.emptyFile("data", size: 20 << 20)
    try workspace.run(
      "printf pw >key && cryptsetup luksFormat \(workspace.fast) \(type) --header header data")
    let error = try await expectRefusal(workspace.file("header"))
    #expect(error.code == .unsupported(.detachedHeader), "\(error)")
  }

  @Test func reencryptionThatHasBegun() async throws {
    let path = try workspace.cryptsetupImage("--type luks2")
    try workspace.run(
      "cryptsetup reencrypt --init-only --force-offline-reencrypt \(workspace.fast) image")
    let error = try await expectRefusal(path)
    #expect(error.code == .unsupported(.reencryption))
    try workspace.run(
      "cryptsetup reencrypt --resume-only --force-offline-reencrypt \(workspace.fast) image")
    _ = try await LUKSImage.open(path: path, readOnly: false)
  }

  @Test func reencryptionKilledHalfWay() async throws {
    let path = try workspace.cryptsetupImage("--type luks2 --offset 32768", size: 48 << 20)
    try workspace.run(
      "cryptsetup reencrypt --force-offline-reencrypt --resilience journal --hotzone-size 64k "
        + "\(workspace.fast) image & "
        + "until cryptsetup luksDump image | grep -q 'length: [0-9]'; do kill -0 $! || exit; done; "
        + "kill -9 $!; wait $!; test $? = 137")
    let error = try await expectRefusal(path)
    #expect(error.code == .unsupported(.reencryption))
    #expect(error.advice?.contains("cryptsetup reencrypt --resume-only \(path)") == true)
  }

  /// All data is under the new key, the header still says that it is being re-encrypted: cryptsetup 2.6.1
  /// would start again from the beginning, with the wrong key.
  @Test func reencryptionThatMustNotBeResumed() async throws {
    let path = try workspace.cryptsetupImage("--type luks2 --offset 8192", size: 8 << 20)
    try workspace.run(
      "cryptsetup reencrypt --init-only --force-offline-reencrypt \(workspace.fast) image")
    try RawHeader.replace(#""segments":["0","1"]"#, with: #""segments":["1"]"#, in: path)
    try RawHeader.replace(#""segments":["2"]"#, with: #""segments":["0","2"]"#, in: path)
    let error = try await expectRefusal(path)
    #expect(error.code == .unsupported(.reencryption))
    #expect(error.advice?.contains("do not resume") == true)
  }

  @Test func encryptionThatHasBegun() async throws {
    let path = try workspace.emptyFile(size: 40 << 20)
    try workspace.run("printf pw >key")
    try workspace.run(
      "cryptsetup reencrypt --encrypt --init-only --reduce-device-size 32M \(workspace.fast) image")
    let error = try await expectRefusal(path)
    #expect(error.code == .unsupported(.reencryption))
  }

  // MARK: Truncated images

  @Test(arguments: [
    (4 << 20) - 1, (4 << 20) - 511, (2 << 20) + 4095, (2 << 20) + 1, 2 << 20, (2 << 20) - 1,
    1 << 20, 0x8000,
  ])
  func truncatedLUKS2(size: Int) async throws {
    let path = try workspace.cryptsetupImage("--type luks2 --sector-size 4096")
    try #require(truncate(path, size) == 0)
    let error = try await expectRefusal(path)
    let missing = size > 3 << 20 ? (4 << 20) - size : (2 << 20) + 4096 - size
    #expect(error.code == .truncated(missing: UInt64(missing)))
    #expect(error.message.contains("\(missing) bytes"))
  }

  @Test(arguments: [(3 << 20) - 1, 2 << 20, 1 << 20])
  func truncatedFixedSize(size: Int) async throws {
    let path = try workspace.cryptsetupImage("--type luks2 --sector-size 4096")
    try RawHeader.replace(#""size":"dynamic""#, with: #""size":"1048576""#, in: path)
    _ = try await LUKSImage.open(path: path, readOnly: true)
    try #require(truncate(path, size) == 0)
    let error = try await expectRefusal(path)
    #expect(error.code == .truncated(missing: UInt64((3 << 20) - size)))
  }

  @Test(arguments: [(2 << 20) + 511, 2 << 20, 1 << 20, 4096, 1024, 591, 108])
  func truncatedLUKS1(size: Int) async throws {
    let path = try workspace.cryptsetupImage("--type luks1")
    #expect(try await LUKSImage.open(path: path, readOnly: true).geometry.dataOffset == 2 << 20)
    try #require(truncate(path, size) == 0)
    let error = try await expectRefusal(path)
    #expect(error.code == .truncated(missing: UInt64((2 << 20) + 512 - size)))
  }

  /// Too short for a header copy to be whole.
  @Test(arguments: [
    ("luks1", 8), ("luks1", 107), ("luks2", 6), ("luks2", 511), ("luks2", 4096), ("luks2", 0x3FFF),
  ])
  func truncatedWithinTheHeader(type: String, size: Int) async throws {
    let path = try workspace.cryptsetupImage("--type \(type)")
    try #require(truncate(path, size) == 0)
    let error = try await expectRefusal(path)
    #expect(error.code == .damagedHeader)
  }

  // MARK: Sizes that make no sense

  @Test(arguments: ["18446744073709551104", "512", "18446744073707450368"])
  func declaredSize(size: String) async throws {
    let path = try workspace.cryptsetupImage("--type luks2 --sector-size 4096")
    try RawHeader.replace(#""size":"dynamic""#, with: #""size":"\#(size)""#, in: path)
    _ = try await expectRefusal(path)
  }

  /// Opens for reading and for writing: the same error, and not a bit changed.
  private func expectRefusal(_ path: String) async throws -> LUKSError {
    let before = try contents(of: path)
    let error = try await failureToOpen(path, readOnly: true)
    #expect(try await failureToOpen(path, readOnly: false) == error)
    #expect(try holds(path, before))
    #expect(error.message.contains(path) && !error.message.contains("/proc/self"), "\(error)")
    return error
  }
}
