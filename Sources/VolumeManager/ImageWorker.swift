import FoundationEssentials
import Glibc
import HostSystem
import LUKS
import SecretMemory
import VolumeAPI

/// The worker process: reads one request from standard input, does it with the rights of the user that
/// asked, and answers with one line on standard output.
///
/// `cofferd` itself never opens a path that a user names, nor reads what is in a user's image.
public enum ImageWorker {
  /// Serves the one request. Returns the exit status: 0 when an answer was written.
  public static func run() async -> Int32 {
    ProcessHardening.apply()
    // With this a file size limit is an error of write(2).
    signal(SIGXFSZ, SIG_IGN)
    let reply = await serve()
    guard var line = try? JSONEncoder().encode(reply) else { return 1 }
    line.append(UInt8(ascii: "\n"))
    let output = Descriptor(adopting: STDOUT_FILENO)
    let written: Void? = line.withUnsafeBytes { try? output.writeAll($0) }
    return written == nil ? 1 : 0
  }

  @LUKSActor
  private static func serve() -> WorkerReply {
    var work = ImageWork()
    do throws(VolumeError) {
      let request = try readRequest()
      try WorkerRights.assume(request.user)
      WorkerRights.dieWithParent(request.parent)
      var secrets: [SecretBox] = []
      for _ in 0..<request.secrets { secrets.append(try readSecret()) }
      return try work.perform(request.work, secrets: secrets)
    } catch {
      return .failed(error, changed: work.changed)
    }
  }

  private static func readRequest() throws(VolumeError) -> WorkerRequest {
    // Byte by byte: what follows is secret, and must not go through another buffer.
    var line: [UInt8] = []
    while line.last != UInt8(ascii: "\n"), line.count < WorkerRequest.longest {
      var byte: UInt8 = 0
      try withUnsafeMutableBytes(of: &byte) { buffer throws(VolumeError) in try fill(buffer) }
      line.append(byte)
    }
    do {
      return try JSONDecoder().decode(WorkerRequest.self, from: Data(line))
    } catch {
      throw VolumeError(.internalFailure, "a worker got a request that makes no sense: \(error)")
    }
  }

  private static func readSecret() throws(VolumeError) -> SecretBox {
    var length: UInt32 = 0
    try withUnsafeMutableBytes(of: &length) { buffer throws(VolumeError) in try fill(buffer) }
    var secret: SecretBytes
    do throws(SecretMemoryError) {
      secret = try .zeroed(count: Int(UInt32(bigEndian: length)))
    } catch {
      throw VolumeError("cannot take over a secret", error)
    }
    try secret.withUnsafeMutableBytes { buffer throws(VolumeError) in try fill(buffer) }
    return SecretBox(secret)
  }

  private static func fill(_ buffer: UnsafeMutableRawBufferPointer) throws(VolumeError) {
    var done = 0
    while done < buffer.count {
      let count = try trying("a worker cannot read its request") { () throws(SystemError) in
        try retrying("read") { read(STDIN_FILENO, buffer.baseAddress! + done, buffer.count - done) }
      }
      guard count > 0 else {
        throw VolumeError(.internalFailure, "a worker's request ended too early")
      }
      done += count
    }
  }
}
