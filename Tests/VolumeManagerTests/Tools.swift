import Foundation
import Glibc
import HostSystem

/// Other people's programs.
enum Tool {
  struct Result {
    var status: ExitStatus
    var output: String
    var errors: String
  }

  static func run(
    _ program: String, _ arguments: [String], input: String = ""
  ) throws -> Result {
    // Not every program reads what it is given.
    signal(SIGPIPE, SIG_IGN)
    let stdin = try HostSystem.Pipe.make()
    let stdout = try HostSystem.Pipe.make()
    let stderr = try HostSystem.Pipe.make()
    let child = try ChildProcess.spawn(
      program, arguments: arguments,
      environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"],
      descriptors: [
        (0, stdin.reader.rawValue), (1, stdout.writer.rawValue), (2, stderr.writer.rawValue),
      ])
    _ = consume stdout.writer
    _ = consume stderr.writer
    let writer = stdin.writer
    _ = consume stdin.reader
    try? Array(input.utf8).withUnsafeBytes { try writer.writeAll($0) }
    _ = consume writer
    let output = try stdout.reader.readAll(limit: 1 << 24)
    let errors = try stderr.reader.readAll(limit: 1 << 24)
    return Result(
      status: try child.wait(), output: String(decoding: output, as: UTF8.self),
      errors: String(decoding: errors, as: UTF8.self))
  }

  /// The same; a failure is an error.
  @discardableResult
  static func check(
    _ program: String, _ arguments: [String], input: String = ""
  ) throws -> String {
    let result = try run(program, arguments, input: input)
    guard result.status == .exited(0) else { throw Failure(program: program, result: result) }
    return result.output
  }

  struct Failure: Error {
    var program: String
    var result: Result
  }
}

/// Stock cryptsetup.
enum Cryptsetup {
  // The members of the LUKS2 header.
  // swift-format-ignore: AlwaysUseLowerCamelCase
  struct Metadata: Decodable {
    struct Token: Decodable {
      var type: String
      var keyslots: [String]
      var key_id: String?
      var volume_id: String?
    }
    struct Keyslot: Decodable {
      var key_size: Int
    }
    struct Segment: Decodable {
      var sector_size: Int
      var offset: String
      var encryption: String
    }
    var keyslots: [String: Keyslot]
    var tokens: [String: Token]
    var segments: [String: Segment]
  }

  static func opens(_ image: String, _ passphrase: String) -> Bool {
    let result = try? Tool.run(
      "/sbin/cryptsetup", ["open", "--test-passphrase", "--key-file=-", image], input: passphrase)
    return result?.status == .exited(0)
  }

  static func metadata(_ image: String) throws -> Metadata {
    let json = try Tool.check("/sbin/cryptsetup", ["luksDump", "--dump-json-metadata", image])
    return try JSONDecoder().decode(Metadata.self, from: Data(json.utf8))
  }

  static func uuid(_ image: String) throws -> String {
    try Tool.check("/sbin/cryptsetup", ["luksUUID", image]).trimmingCharacters(
      in: .whitespacesAndNewlines
    ).lowercased()
  }

  /// Makes a LUKS2 image with one keyslot of a cheap passphrase.
  static func format(
    _ image: String, passphrase: String = "correct horse", type: String = "luks2",
    sectorSize: Int? = nil, keySize: Int = 512
  ) throws {
    try Tool.check("/usr/bin/truncate", ["-s", "24M", image])
    try Tool.check(
      "/sbin/cryptsetup",
      [
        "luksFormat", "--batch-mode", "--type", type, "--key-size", "\(keySize)", "--pbkdf",
        "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file=-",
      ] + (sectorSize.map { ["--sector-size", "\($0)"] } ?? []) + [image], input: passphrase)
  }
}

enum QemuImg {
  /// Makes a LUKS1 image. On a busy machine qemu-img may measure no CPU time at all for its key
  /// derivation, and gives up; so it is asked again.
  static func makeLUKS(_ path: String, size: String, passphrase: String) throws {
    let arguments = [
      "create", "-q", "-f", "luks", "--object", "secret,id=key,data=\(passphrase)", "-o",
      "key-secret=key,iter-time=10", path, size,
    ]
    for _ in 0..<20 {
      if try Tool.run("/usr/bin/qemu-img", arguments).status == .exited(0) { return }
    }
    try Tool.check("/usr/bin/qemu-img", arguments)
  }
}

extension stat {
  static func of(_ path: String) throws -> stat {
    var status = stat()
    guard lstat(path, &status) == 0 else { throw SystemError.current("lstat", path) }
    return status
  }
}
