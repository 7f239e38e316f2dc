import Glibc
import HostSystem
import SecretMemory
import VolumeAPI

/// Reads a secret from a file, a pipe or the terminal straight into locked memory.
enum SecretInput {
  /// The whole of `file`, or of standard input.
  static func read(file: String?, limit: Int) throws(VolumeError) -> SecretBytes {
    do {
      guard let file else { return try readAll(0, "standard input", limit: limit) }
      let descriptor = try Descriptor.open(file, O_RDONLY)
      return try readAll(descriptor.rawValue, file, limit: limit)
    } catch let error as SystemError {
      throw VolumeError(
        error.code == .noSuchFileOrDirectory ? .noSuchImage : .inputOutput,
        "cannot read the secret: \(error)")
    } catch {
      throw error as? VolumeError ?? VolumeError(.inputOutput, "cannot read the secret: \(error)")
    }
  }

  /// A passphrase: typed without echo at a terminal, else the whole of `file` or standard input, of which
  /// one newline at the end is dropped.
  static func passphrase(file: String?, prompt: String) throws(VolumeError) -> SecretBytes {
    if file == nil, isatty(0) == 1 {
      StandardError.print(prompt, terminator: "")
      var settings = termios()
      tcgetattr(0, &settings)
      var silent = settings
      silent.c_lflag &= ~tcflag_t(ECHO)
      tcsetattr(0, TCSAFLUSH, &silent)
      defer {
        tcsetattr(0, TCSAFLUSH, &settings)
        StandardError.print("")
      }
      return try withoutNewline(try readLine(limit: 4096))
    }
    return try withoutNewline(try read(file: file, limit: 8 << 20))
  }

  private static func readAll(
    _ descriptor: Int32, _ name: String, limit: Int
  ) throws -> SecretBytes {
    var capacity = min(limit + 1, 64 * 1024)
    var secret = try SecretBytes.zeroed(count: capacity)
    var count = 0
    while true {
      let position = count
      let got = try secret.withUnsafeMutableBytes { buffer throws(SystemError) in
        try retrying("read", name) {
          Glibc.read(descriptor, buffer.baseAddress! + position, buffer.count - position)
        }
      }
      if got == 0 { return try secret.prefix(count) }
      count += got
      if count > limit {
        throw VolumeError(.invalidRequest, "\(name) holds more than \(limit) bytes")
      }
      if count == capacity {
        capacity = min(capacity * 4, limit + 1)
        var larger = try SecretBytes.zeroed(count: capacity)
        secret.withUnsafeBytes { old in
          larger.withUnsafeMutableBytes { $0.copyMemory(from: old) }
        }
        secret = larger
      }
    }
  }

  /// A terminal hands out a line at a time.
  private static func readLine(limit: Int) throws(VolumeError) -> SecretBytes {
    do {
      var line = try SecretBytes.zeroed(count: limit)
      let count = try line.withUnsafeMutableBytes { buffer throws(SystemError) in
        try retrying("read", "the terminal") { Glibc.read(0, buffer.baseAddress!, buffer.count) }
      }
      return try line.prefix(count)
    } catch {
      throw VolumeError(.inputOutput, "cannot read the passphrase: \(error)")
    }
  }

  private static func withoutNewline(
    _ secret: consuming SecretBytes
  ) throws(VolumeError) -> SecretBytes {
    let endsInNewline = secret.withUnsafeBytes { $0.last == UInt8(ascii: "\n") }
    guard endsInNewline else { return secret }
    do {
      return try secret.prefix(secret.count - 1)
    } catch {
      throw VolumeError(.inputOutput, "\(error)")
    }
  }
}
