import FoundationEssentials
import Glibc
import KeyManager
import Testing

@testable import KeyStore

@Suite struct AuditLogTests {
  private let directory: TemporaryDirectory
  private var path: String { directory.path + "/audit.log" }

  init() throws {
    directory = try TemporaryDirectory()
  }

  private func event(_ number: Int) -> AuditEvent {
    AuditEvent(
      time: "2026-11-21T00:00:00.000000Z", uid: 1000, pid: 7, process: "a \"name\"\n",
      user: "uid-1000", project: "p", operation: "get", keyID: "key-\(number)", outcome: "ok")
  }

  private func fill(_ count: Int) async throws {
    let log = try AuditLog(path: path)
    for number in 0..<count { try await log.append(event(number)) }
  }

  private func content() throws -> Data { try Data(contentsOf: URL(filePath: path)) }

  private func lines() throws -> [String] {
    String(decoding: try content(), as: UTF8.self).split(separator: "\n").map(String.init)
  }

  private func verification(_ lines: [String], noted: String? = nil) -> AuditVerification {
    AuditVerification(of: Data(lines.map { $0 + "\n" }.joined().utf8), noted: noted)
  }

  @Test func itGoesOnWhereItEnded() async throws {
    try await fill(3)
    try await fill(2)
    var keys: [String?] = []
    let found = AuditVerification(of: try content()) { keys.append($0.keyID) }
    #expect(found.isGood)
    #expect(found.lines == 5)
    #expect(keys == ["key-0", "key-1", "key-2", "key-0", "key-1"])
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
  }

  /// The hash of a line by another program's reckoning.
  @Test func theHashIsSHA256OfTheLineWithoutIt() async throws {
    try await fill(1)
    let line = try #require(try lines().first)
    #expect(line.hasPrefix(#"{"event":{"key_id":"key-0","operation":"get","outcome":"ok","#))
    let range = try #require(line.firstRange(of: #""hash":""#))
    let hash = String(line[range.upperBound...].prefix(64))
    let rest = line.replacing(#""hash":"\#(hash)","#, with: "")
    let plain = directory.path + "/line"
    try Data(rest.utf8).write(to: URL(filePath: plain))
    let sum = try #require(popen("sha256sum \(plain)", "r"))
    defer { pclose(sum) }
    var output = [CChar](repeating: 0, count: 65)
    #expect(fgets(&output, 65, sum) != nil)
    #expect(output.withUnsafeBufferPointer { String(cString: $0.baseAddress!) } == hash)
  }

  @Test func manyAtOnceAreOneChain() async throws {
    let log = try AuditLog(path: path)
    await withTaskGroup(of: Void.self) { tasks in
      for number in 0..<200 {
        tasks.addTask {
          await #expect(throws: Never.self) { try await log.append(event(number)) }
        }
      }
    }
    var keys: Set<String?> = []
    let found = AuditVerification(of: try content()) { keys.insert($0.keyID) }
    #expect(found.isGood)
    #expect(found.lines == 200)
    #expect(keys.count == 200)
  }

  @Test func whatWasDoneToALineIsFoundAtThatLine() async throws {
    try await fill(6)
    let good = try lines()
    #expect(verification(good).isGood)
    var edited = good
    edited[2] = good[2].replacing("key-2", with: "key-9")
    #expect(verification(edited).firstBadLine == 3)
    var spaced = good
    spaced[2] += " "
    #expect(verification(spaced).firstBadLine == 3)
    var removed = good
    removed.remove(at: 2)
    #expect(verification(removed).firstBadLine == 3)
    var swapped = good
    swapped.swapAt(2, 3)
    #expect(verification(swapped).firstBadLine == 3)
    #expect(verification(Array(good[1...])).firstBadLine == 1)
    #expect(verification(good + [good[5]]).firstBadLine == 7)
    // A line with a right hash of its own is not the one that the next line follows.
    var forged = good
    forged[2] = String(
      decoding: try AuditRecord(event(9), after: AuditRecord(line: Data(good[1].utf8))!.hash!)
        .json(),
      as: UTF8.self)
    #expect(verification(forged).firstBadLine == 4)
  }

  @Test func aNotedHashShowsWhatIsMissingAtTheEnd() async throws {
    try await fill(4)
    let good = try lines()
    let noted = verification(good).lastHash
    let shorter = Array(good.dropLast())
    #expect(verification(shorter).isGood, "a chain alone cannot show it")
    #expect(verification(shorter, noted: noted).foundNotedHash == false)
    #expect(!verification(shorter, noted: noted).isGood)
    try await fill(1)
    #expect(verification(try lines(), noted: noted).isGood)
  }

  @Test func aLineThatACrashCutShortIsTakenOff() async throws {
    try await fill(3)
    let whole = try content()
    for missing in [1, 2, 100] {
      try whole.dropLast(missing).write(to: URL(filePath: path))
      #expect(AuditVerification(of: try content()).endsWithinALine)
      try await fill(1)
      let found = AuditVerification(of: try content())
      #expect(found.isGood)
      #expect(found.lines == 3)
    }
  }

  @Test func aChangedEndIsNotContinued() async throws {
    try await fill(2)
    let text = String(decoding: try content(), as: UTF8.self)
    try Data(text.replacing("key-1", with: "key-2").utf8).write(to: URL(filePath: path))
    #expect(throws: KeyManagerError.self) { try AuditLog(path: path) }
  }
}
