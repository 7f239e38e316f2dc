import Glibc
import HostSystem
import KeyManager
import KeyStore
import SecretMemory
import Testing
import VolumeAPI

@testable import VolumeManager

/// A directory that goes with this object. Everyone may pass through it.
final class ScratchDirectory: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/coffer-volumes-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError.current("mkdtemp") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    chmod(path, 0o755)
    mkdir("\(path)/home", 0o700)
    chown("\(path)/home", 61001, 61001)
  }

  deinit {
    _ = try? Tool.run("/bin/rm", ["-rf", path])
  }
}

/// A catalog, a pool and a key manager in a directory of their own.
final class Sandbox: Sendable {
  let directory: String
  private let scratch: ScratchDirectory?
  let user = PeerCredentials(pid: getpid(), uid: 61001, gid: 61001)
  let root = PeerCredentials(pid: getpid(), uid: 0, gid: 0)
  let keys: LocalKeyManager
  let manager: VolumeManager

  /// Belongs to `user`.
  var home: String { "\(directory)/home" }
  var pool: String { "\(directory)/pool" }
  var context: RequestContext { .local(uid: user.uid) }

  /// - Parameter directory: a scratch directory that somebody else keeps; one of its own otherwise.
  init(
    in directory: String? = nil, worker: WorkerCommand = .built,
    through: (LocalKeyManager) -> any KeyManager = { $0 },
    reached: @escaping @Sendable (JournalPoint) -> Void = { _ in }
  ) async throws {
    scratch = directory == nil ? try ScratchDirectory() : nil
    let path = directory ?? scratch?.path ?? ""
    self.directory = path
    keys = try await Self.openKeys("\(path)/keys")
    manager = try await VolumeManager.open(
      database: "\(path)/volumes.db", pool: "\(path)/pool", keys: through(keys), worker: worker,
      reached: reached)
  }

  /// A child that another test starts holds on to a lock of this process until it is started.
  private static func openKeys(_ directory: String) async throws -> LocalKeyManager {
    var attempts = 200
    while attempts > 0, isLocked("\(directory)/keys.lock") {
      attempts -= 1
      try await Task.sleep(for: .milliseconds(20))
    }
    return try await LocalKeyManager.open(directory: directory)
  }

  private static func isLocked(_ path: String) -> Bool {
    guard let file = try? Descriptor.open(path, O_RDWR) else { return false }
    return (try? ImageLock.isHeld(file)) ?? false
  }

  /// Ends the use of the directory, so that another sandbox can have it.
  func close() async throws {
    try await keys.close()
  }

  func create(
    _ name: String = "data", size: UInt64? = 8 << 20, sectorSize: Int? = nil, keyID: KeyID? = nil,
    image: String? = nil, force: Bool? = nil, caller: PeerCredentials? = nil
  ) async throws -> VolumeDocument {
    try await manager.create(
      VolumeCreation(
        name: name, size: size, sectorSize: sectorSize, keyID: keyID, image: image, force: force),
      context: context, caller: caller ?? user)
  }

  func adopt(
    _ image: String, name: String = "data", passphrase: String = "correct horse",
    keyID: KeyID? = nil, caller: PeerCredentials? = nil
  ) async throws -> VolumeDocument {
    var bytes = Array(passphrase.utf8)
    return try await manager.importImage(
      VolumeImport(name: name, image: image, keyID: keyID), passphrase: .taking(&bytes),
      context: context, caller: caller ?? user)
  }

  func delete(_ name: String = "data", caller: PeerCredentials? = nil) async throws {
    try await manager.delete(name, context: context, caller: caller ?? user)
  }

  /// A LUKS image of the user's own in its home.
  func makeImage(
    _ name: String, type: String = "luks2", sectorSize: Int? = nil, keySize: Int = 512
  ) throws -> String {
    let path = "\(home)/\(name)"
    try Cryptsetup.format(path, type: type, sectorSize: sectorSize, keySize: keySize)
    chown(path, user.uid, user.gid)
    return path
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
