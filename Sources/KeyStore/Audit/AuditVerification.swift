public import FoundationEssentials

/// What a look at an audit log's chain finds.
///
/// An edited, removed, inserted or moved line breaks the chain at that place. Two things no chain can
/// show by itself: that lines at its end are missing, and that somebody who may write to the file made all
/// of it anew. A hash that was noted elsewhere shows both: every line up to it is as it was then.
public struct AuditVerification: Sendable, Equatable {
  /// The first line, counted from 1, that is not what was written, or does not follow the one before.
  public var firstBadLine: Int?
  /// How many good lines there are before that, or in all.
  public var lines: Int
  /// The last good line's hash.
  public var lastHash: String
  /// Whether the file ends within a line: a crash, or somebody cut it.
  public var endsWithinALine: Bool
  /// Whether the noted hash was found in the chain; nil when none was given.
  public var foundNotedHash: Bool?

  /// Whether nothing speaks against the log.
  public var isGood: Bool {
    firstBadLine == nil && !endsWithinALine && foundNotedHash != false
  }

  /// - Parameters:
  ///   - content: of the file.
  ///   - noted: a hash that an earlier verification gave.
  ///   - each: called with each good event.
  public init(
    of content: Data, noted: String? = nil, each: (AuditEvent) -> Void = { _ in }
  ) {
    firstBadLine = nil
    lines = 0
    lastHash = AuditRecord.start
    let newline = UInt8(ascii: "\n")
    endsWithinALine = content.last != nil && content.last != newline
    foundNotedHash = noted.map { $0 == AuditRecord.start }
    for line in content.split(separator: newline, omittingEmptySubsequences: false).dropLast() {
      guard let record = AuditRecord(line: line), record.previous == lastHash,
        let hash = record.hash
      else {
        firstBadLine = lines + 1
        return
      }
      lines += 1
      lastHash = hash
      if hash == noted { foundNotedHash = true }
      each(record.event)
    }
  }
}
