import Glibc
import HostSystem
import KeyManager
import KeyStore
import SecretMemory
import Testing
import VolumeAPI

@testable import VolumeManager

/// A catalog, a pool and a key manager in a directory of their own, which goes at the end.
final class Sandbox: Sendable {
  /// Everyone may pass through it.
  let directory: String
  /// Belongs to `user`.
  let home: String
  let user = PeerCredentials(pid: getpid(), uid: 61001, gid: 61001)
  let keys: LocalKeyManager
  let manager: VolumeManager

  var pool: String { "\(directory)/pool" }
  var context: RequestContext { .local(uid: user.uid) }

  /// - Parameter directory: one that an earlier sandbox's process left; a new one otherwise.
  init(
    at directory: String? = nil, worker: WorkerCommand = .built,
    reached: @escaping @Sendable (JournalPoint) -> Void = { _ in }
  ) async throws {
    self.directory = try directory ?? Self.makeDirectory()
    home = "\(self.directory)/home"
    keys = try await LocalKeyManager.open(directory: "\(self.directory)/keys")
    manager = try await VolumeManager.open(
      database: "\(self.directory)/volumes.db", pool: "\(self.directory)/pool", keys: keys,
      worker: worker, reached: reached)
  }

  deinit {
    _ = try? Tool.run("/bin/rm", ["-rf", directory])
  }

  static func makeDirectory() throws -> String {
    var template = Array("/tmp/coffer-volumes-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError.current("mkdtemp") }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    chmod(path, 0o755)
    mkdir("\(path)/home", 0o700)
    chown("\(path)/home", 61001, 61001)
    return path
  }

  func create(
    _ name: String = "data", size: UInt64? = 8 << 20, sectorSize: Int? = nil, keyID: KeyID? = nil,
    image: String? = nil, force: Bool? = nil
  ) async throws -> VolumeDocument {
    try await manager.create(
      VolumeCreation(
        name: name, size: size, sectorSize: sectorSize, keyID: keyID, image: image, force: force),
      context: context, caller: user)
  }

  func adopt(
    _ image: String, name: String = "data", passphrase: String = "correct horse",
    keyID: KeyID? = nil
  ) async throws -> VolumeDocument {
    var bytes = Array(passphrase.utf8)
    return try await manager.importImage(
      VolumeImport(name: name, image: image, keyID: keyID), passphrase: .taking(&bytes),
      context: context, caller: user)
  }

  func delete(_ name: String = "data") async throws {
    try await manager.delete(name, context: context, caller: user)
  }

  /// The key's bytes in hexadecimal, as text: these keys protect nothing.
  func hexadecimal(_ key: KeyID) async throws -> String {
    let text = try await keys.get(key, context: context).value.hexadecimal()
    return text.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
  }

  /// Stock cryptsetup opens the image with the key.
  func expectOpens(
    _ volume: VolumeDocument, _ location: SourceLocation = #_sourceLocation
  ) async throws {
    let key = try await hexadecimal(volume.keyID)
    #expect(Cryptsetup.opens(volume.image, key), sourceLocation: location)
    if volume.luksVersion == 2 {
      let token = try Cryptsetup.metadata(volume.image).tokens.values.first
      #expect(token?.type == "coffer", sourceLocation: location)
      #expect(token?.key_id == volume.keyID.description, sourceLocation: location)
      #expect(token?.volume_id == volume.id.description, sourceLocation: location)
    }
  }

  /// No key, no entry, no file in the pool or the home but those of `volumes`, and `files`.
  func expectNoOrphans(
    files: Set<String> = [], _ location: SourceLocation = #_sourceLocation
  ) async throws {
    let volumes = try await manager.volumes(context: context)
    let keys = try await keys.list(KeyQuery(limit: 100), context: context).records
    #expect(Set(keys.map(\.id)) == Set(volumes.map(\.keyID)), sourceLocation: location)
    for volume in volumes {
      #expect(volume.state == .available, sourceLocation: location)
      try await expectOpens(volume, location)
    }
    let images = Set(volumes.map(\.image)).union(files.map { "\(home)/\($0)" })
    let present = try Self.contents(pool).union(Self.contents(home))
    #expect(present == images, sourceLocation: location)
  }

  private static func contents(_ directory: String) throws -> Set<String> {
    let listing = try Tool.run("/bin/ls", ["-A", directory])
    return Set(
      listing.output.split(separator: "\n").filter { $0 != ".lock" }.map { "\(directory)/\($0)" })
  }
}

extension WorkerCommand {
  /// The program that was built beside the tests.
  static var built: WorkerCommand {
    WorkerCommand(executable: "\(ProgramFile.ownDirectory ?? "")/cofferd")
  }

  /// The same; it dies at `fault`.
  static func dying(at fault: String) -> WorkerCommand {
    var command = built
    command.environment = ["\(WorkerFault.variable)=\(fault)"]
    return command
  }
}

/// Runs `body` and returns the volume error that it ends with.
func volumeError(
  _ location: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
) async -> VolumeError? {
  do {
    try await body()
    Issue.record("no error was thrown", sourceLocation: location)
  } catch let error as VolumeError {
    return error
  } catch {
    Issue.record("another error was thrown: \(error)", sourceLocation: location)
  }
  return nil
}
