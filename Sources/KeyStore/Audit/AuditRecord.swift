import CCrypto
import FoundationEssentials

/// What is noted of one operation on a key; never its value.
public struct AuditEvent: Sendable, Codable, Equatable {
  /// ISO 8601 in UTC.
  public var time: String
  /// Who asked, as the kernel says.
  public var uid: UInt32
  public var pid: Int32
  /// What that process was started as: it can choose that itself.
  public var process: String?
  /// For which user and project of the key manager.
  public var user: String
  public var project: String
  /// For example `get`.
  public var operation: String
  /// Nil when none was made.
  public var keyID: String?
  /// `ok`, or why not: a `KeyManagerError.Code`.
  public var outcome: String

  enum CodingKeys: String, CodingKey {
    case time, uid, pid, process, user, project, operation, outcome
    case keyID = "key_id"
  }

  public init(
    time: String, uid: UInt32, pid: Int32, process: String?, user: String, project: String,
    operation: String, keyID: String?, outcome: String
  ) {
    self.time = time
    self.uid = uid
    self.pid = pid
    self.process = process
    self.user = user
    self.project = project
    self.operation = operation
    self.keyID = keyID
    self.outcome = outcome
  }
}

/// A line of the audit log: an event, the hash of the line before it, and the hash of both.
///
/// The hash is SHA-256 over the line's JSON (members in order of their names) without the member `hash`.
struct AuditRecord: Codable, Equatable {
  var event: AuditEvent
  var previous: String
  var hash: String?

  /// What the first line follows.
  static let start = String(repeating: "0", count: 64)

  enum CodingKeys: String, CodingKey {
    case event, previous, hash
  }

  init(_ event: AuditEvent, after previous: String) throws {
    self.event = event
    self.previous = previous
    hash = Self.sha256(try json())
  }

  func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(self)
  }

  /// The record in a line; nil unless the line is exactly what was written.
  init?(line: some Collection<UInt8>) {
    guard let record = try? JSONDecoder().decode(AuditRecord.self, from: Data(line)),
      let whole = try? AuditRecord(record.event, after: record.previous), whole == record,
      let text = try? whole.json(), text.elementsEqual(line)
    else { return nil }
    self = whole
  }

  private static func sha256(_ data: Data) -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    let done = Array(data).withUnsafeBytes {
      EVP_Digest($0.baseAddress, $0.count, &digest, nil, EVP_sha256(), nil)
    }
    precondition(done == 1, "libcrypto has no SHA-256: check its providers (openssl.cnf)")
    return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
