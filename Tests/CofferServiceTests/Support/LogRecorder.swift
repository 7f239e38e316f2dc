import Logging
import Synchronization

/// Keeps every line that is logged, of every level.
final class LogRecorder: LogHandler {
  private let lines = Mutex<[String]>([])

  var text: String { lines.withLock { $0.joined(separator: "\n") } }

  var metadata: Logger.Metadata {
    get { [:] }
    set {}
  }

  var logLevel: Logger.Level {
    get { .trace }
    set {}
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { nil }
    set {}
  }

  func log(event: LogEvent) {
    lines.withLock {
      $0.append("\(event.level) \(event.message) \(event.metadata ?? [:])")
    }
  }
}
