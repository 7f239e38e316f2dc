import CCrypto
import Glibc
import HostSystem
import SecretMemory
import Testing

@testable import LUKS

/// A directory that goes away with the value, and the commands run in it.
final class Workspace {
  let path: String

  init() throws {
    var template = Array("/tmp/coffer-luks-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError.current("mkdtemp") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    _ = try? Self.spawn("rm -rf '\(path)'", output: "/dev/null")
  }

  /// A path in the directory.
  func file(_ name: String) -> String { "\(path)/\(name)" }

  /// An empty file of `size` bytes.
  func emptyFile(_ name: String = "image", size: Int = 0) throws -> String {
    let file = try Descriptor.open(file(name), O_RDWR | O_CREAT | O_TRUNC)
    try #require(ftruncate(file.rawValue, size) == 0)
    return self.file(name)
  }

  /// Runs a shell command in the directory, which must succeed, and returns what it printed.
  @discardableResult
  func run(_ command: String) throws -> String {
    let (status, output) = try attempt(command)
    try #require(status == .exited(0), "\(command): \(output)")
    return output
  }

  /// Runs a shell command in the directory.
  func attempt(_ command: String) throws -> (HostSystem.ExitStatus, String) {
    let log = file("output-\(UInt64.random(in: 0 ... .max))")
    defer { unlink(log) }
    let status = try Self.spawn("cd '\(path)' || exit\n\(command)", output: log)
    return (status, String(decoding: try contents(of: log), as: UTF8.self))
  }

  private static func spawn(_ command: String, output: String) throws -> HostSystem.ExitStatus {
    let log = try Descriptor.open(output, O_WRONLY | O_CREAT | O_TRUNC)
    let child = try ChildProcess.spawn(
      "/bin/sh", arguments: ["-c", command],
      environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"],
      descriptors: [(1, log.rawValue), (2, log.rawValue)])
    return try child.wait()
  }

  /// An image that stock cryptsetup made, with passphrase `pw`; unless `options` say otherwise, with 2 MiB
  /// of header and 2 MiB of data.
  func cryptsetupImage(_ options: String, size: Int = 4 << 20) throws -> String {
    let image = try emptyFile(size: size)
    let offset = options.contains("--offset") || options.contains("--luks2-") ? "" : "--offset 4096"
    try run("printf pw >key && cryptsetup luksFormat \(fast) \(offset) \(options) image")
    return image
  }

  /// A LUKS1 image with 4 MiB of data that qemu-img made, with passphrase `pw`.
  func qemuImage() throws -> String {
    // qemu-img gives up when its first measure of the key derivation falls between two ticks of the clock.
    try run(
      "printf pw >key && for i in $(seq 50); do qemu-img create -q -f luks "
        + "--object secret,id=s,file=key -o key-secret=s,iter-time=100 image 4M && exit; done; exit 1"
    )
    return file("image")
  }

  /// Options for cryptsetup that use `pw` and a cheap key derivation.
  let fast = "--batch-mode --key-file key --pbkdf pbkdf2 --pbkdf-force-iterations 1000"
}

func contents(of path: String) throws -> [UInt8] {
  try Descriptor.open(path, O_RDONLY).readAll(limit: 1 << 30)
}

/// Whether a file still holds `bytes`. By memcmp(3): in a debug build the `==` of arrays takes seconds.
func holds(_ path: String, _ bytes: [UInt8]) throws -> Bool {
  let now = try contents(of: path)
  return now.count == bytes.count && memcmp(now, bytes, bytes.count) == 0
}

func write(_ bytes: [UInt8], to path: String, at offset: Int = 0) throws {
  let file = try Descriptor.open(path, O_WRONLY)
  let written = bytes.withUnsafeBytes { pwrite(file.rawValue, $0.baseAddress, $0.count, offset) }
  try #require(written == bytes.count)
}

func size(of path: String) throws -> Int {
  try Descriptor.open(path, O_RDONLY).status().st_size
}

func secret(_ text: String) throws -> SecretBytes {
  var bytes = Array(text.utf8)
  return try .taking(&bytes)
}

/// 32 bytes, 0 to 31.
func testKey() throws -> SecretBytes {
  var bytes = Array(UInt8(0)...31)
  return try .taking(&bytes)
}

/// `testKey` as lowercase hexadecimal, written out.
let testKeyText = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

extension VolumeKey {
  /// For comparisons in tests alone.
  var exposed: [UInt8] { bytes.withUnsafeBytes { Array($0) } }
}

/// The error that `body` throws.
func failure<Value: ~Copyable>(
  of body: () async throws -> Value, sourceLocation: SourceLocation = #_sourceLocation
) async throws -> LUKSError {
  do {
    _ = try await body()
  } catch let error as LUKSError {
    return error
  }
  return try #require(nil, "nothing was thrown", sourceLocation: sourceLocation)
}

/// Opens for reading and gives the error.
func failureToOpen(
  _ path: String, readOnly: Bool = true, sourceLocation: SourceLocation = #_sourceLocation
) async throws -> LUKSError {
  try await failure(
    of: { try await LUKSImage.open(path: path, readOnly: readOnly) },
    sourceLocation: sourceLocation)
}

/// LUKS2 headers taken apart and put together by hand (LUKS2 On-Disk Format, section 2.1).
enum RawHeader {
  /// Replaces text in the JSON areas of both copies, and makes their checksums right.
  static func replace(_ old: String, with new: String, in path: String) throws {
    var header = Array(try contents(of: path).prefix(0x8000))
    for start in [0, 0x4000] {
      let json = String(decoding: header[start + 0x1000..<start + 0x4000], as: UTF8.self)
      try #require(json.contains(old))
      var bytes = Array(json.replacing(old, with: new).utf8).prefix(0x3000)
      bytes += [UInt8](repeating: 0, count: 0x3000 - bytes.count)
      header.replaceSubrange(start + 0x1000..<start + 0x4000, with: bytes)
    }
    sign(&header)
    try write(header, to: path)
  }

  /// Makes the checksums of both copies right, for copies of 16 KiB.
  static func sign(_ header: inout [UInt8]) {
    for start in [0, 0x4000] {
      header.replaceSubrange(start + 448..<start + 512, with: [UInt8](repeating: 0, count: 64))
      var digest = [UInt8](repeating: 0, count: 32)
      let copy = Array(header[start..<start + 0x4000])
      EVP_Digest(copy, copy.count, &digest, nil, EVP_sha256(), nil)
      header.replaceSubrange(start + 448..<start + 480, with: digest)
    }
  }
}
