internal import Glibc
internal import HostSystem

/// A temporary directory with a `cofferd` of its own, its volumes and mounts: nothing of the user's is touched,
/// and all of it goes at the end.
final class Sandbox {
  let directory: String
  private let coffer: String
  private let daemon: Companion
  private var socket: String { "\(directory)/cofferd.sock" }
  private var attached: [String] = []
  private var servers: [Companion] = []

  /// - Parameters:
  ///   - parent: the directory in which to make the temporary one.
  ///   - programs: the directory of `coffer`, `cofferd` and `mount.coffer`.
  init(in parent: String, programs: String) throws {
    var template = "\(parent)/coffer-bench-XXXXXX".utf8CString.map { $0 }
    guard mkdtemp(&template) != nil else { throw SystemError.current("mkdtemp", parent) }
    let directory = String(decoding: template.dropLast().map(UInt8.init), as: UTF8.self)
    self.directory = directory
    coffer = "\(programs)/coffer"
    let beside = "\(programs)/cofferd"
    let program = access(beside, X_OK) == 0 ? beside : ProgramFile.find("cofferd") ?? beside
    do {
      daemon = try Companion(
        program,
        [
          "--state", "\(directory)/state", "--socket", "\(directory)/cofferd.sock",
          "--idle-exit", "60", "--ready-fd", "3",
          "--log-level", "error",
        ], readyDescriptor: 3)
    } catch {
      removeTree(directory)
      throw error
    }
  }

  /// A new volume.
  func makeVolume(_ name: String, size: UInt64) throws {
    try Program.run(
      coffer, ["volume", "create", name, "--size", "\(size)", "--socket", socket])
  }

  /// An empty directory.
  func makeMountpoint(_ name: String) throws -> String {
    let path = "\(directory)/\(name)"
    guard mkdir(path, 0o700) == 0 else { throw SystemError.current("mkdir", path) }
    return path
  }

  /// Returns when `coffer attach` does; the decrypted image is the mountpoint's `volume`.
  func attach(_ name: String, at mountpoint: String, options: [String] = []) throws {
    attached.append(mountpoint)
    try Program.run(coffer, ["attach", name, mountpoint, "--socket", socket] + options)
  }

  func detach(_ mountpoint: String) throws {
    try Program.run(coffer, ["detach", mountpoint])
    attached.removeAll { $0 == mountpoint }
  }

  /// Serves a file of `size` bytes through the same FUSE path without a cipher.
  func serveUnencrypted(at mountpoint: String, size: UInt64) throws {
    servers.append(
      try Companion(
        coffer, ["bench", "serve-unencrypted", mountpoint, directory, "\(size)"]))
  }

  /// Takes everything away again.
  func remove() {
    for mountpoint in attached {
      if (try? Program.run(coffer, ["detach", mountpoint])) == nil {
        _ = try? Program.run(coffer, ["detach", "--lazy", mountpoint])
      }
    }
    for server in servers { server.stop() }
    daemon.stop(signal: SIGTERM)
    removeTree(directory)
  }
}

/// Removes a directory and what is in it, but enters no mount.
private func removeTree(_ path: String) {
  _ = try? Program.run("/bin/rm", ["-rf", "--one-file-system", "--", path])
}
