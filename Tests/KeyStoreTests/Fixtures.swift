import FoundationEssentials
import GRDB
import Glibc
import KeyManager
import SecretMemory
import Testing

@testable import KeyStore

/// A directory that goes with the value.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/coffer-keystore-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  /// Where the keys are.
  var keys: String { path + "/keys" }
  var database: String { keys + "/keys.db" }
  var masterKey: String { keys + "/master.key" }

  func open() async throws(KeyManagerError) -> LocalKeyManager {
    try await LocalKeyManager.open(directory: keys)
  }

  /// Runs SQL on the database behind the key manager's back.
  func edit(_ sql: String, _ arguments: StatementArguments = []) throws {
    var configuration = Configuration()
    configuration.foreignKeysEnabled = false
    let queue = try DatabaseQueue(path: database, configuration: configuration)
    try queue.write { db in
      try db.execute(sql: sql, arguments: arguments)
      try #require(db.changesCount > 0, "the edit changed nothing")
    }
    try queue.close()
  }

  func query<Value: DatabaseValueConvertible & Sendable>(_ sql: String) throws -> [Value] {
    let queue = try DatabaseQueue(path: database)
    defer { try? queue.close() }
    return try queue.read { try Value.fetchAll($0, sql: sql) }
  }

  /// Each file in the directory of the keys, by name.
  func files() throws -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: keys) {
      files[name] = Array(try Data(contentsOf: URL(filePath: keys + "/" + name)))
    }
    return files
  }
}

let alice = RequestContext.local(uid: 1001)
let bob = RequestContext.local(uid: 1002)

func secret(_ bytes: [UInt8]) throws -> SecretBytes {
  var bytes = bytes
  return try .taking(&bytes)
}

func secret(_ text: String) throws -> SecretBytes { try secret(Array(text.utf8)) }

func bytes(_ secret: borrowing SecretBytes) -> [UInt8] { secret.withUnsafeBytes { Array($0) } }

func bytes(hex: String) -> [UInt8] {
  let digits = Array(hex.utf8)
  return stride(from: 0, to: digits.count, by: 2).map { index in
    UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16)!
  }
}

extension LocalKeyManager {
  func store(
    _ text: String, _ attributes: KeyAttributes = KeyAttributes(),
    context: RequestContext = alice
  ) async throws -> KeyID {
    try await store(try secret(text), attributes, context: context)
  }

  func value(_ id: KeyID, context: RequestContext = alice) async throws -> [UInt8] {
    bytes(try await get(id, context: context).value)
  }

  func text(_ id: KeyID, context: RequestContext = alice) async throws -> String {
    String(decoding: try await value(id, context: context), as: UTF8.self)
  }
}

/// What `body` throws, which must be a `KeyManagerError`.
func failure(
  _ body: () async throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
) async -> KeyManagerError? {
  do {
    try await body()
    Issue.record("nothing was thrown", sourceLocation: sourceLocation)
  } catch let error as KeyManagerError {
    return error
  } catch {
    Issue.record("\(error) is no KeyManagerError", sourceLocation: sourceLocation)
  }
  return nil
}

/// splitmix64, so that a seed repeats a run.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
