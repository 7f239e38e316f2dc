import HTTPTypes
import Synchronization

/// How many requests there were, how they ended, and how long they took.
final class RequestMetrics: Sendable {
  private struct Kind: Hashable {
    let method: String
    let status: Int
  }

  private struct State {
    var requests: [Kind: Int] = [:]
    /// By the index of the first bound that is not exceeded; the last has none.
    var buckets = [Int](repeating: 0, count: RequestMetrics.bounds.count + 1)
    var seconds = 0.0
  }

  /// In seconds.
  private static let bounds = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30]
  private static let methods: [HTTPRequest.Method] = [
    .get, .head, .post, .put, .patch, .delete, .options,
  ]

  private let state = Mutex(State())

  func note(_ method: HTTPRequest.Method, status: HTTPResponse.Status, took: Duration) {
    // A method is the client's choice: each of its own inventions would take memory.
    let name = Self.methods.contains(method) ? method.rawValue : "other"
    let seconds = took / .seconds(1)
    let bucket = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
    state.withLock { state in
      state.requests[Kind(method: name, status: status.code), default: 0] += 1
      state.buckets[bucket] += 1
      state.seconds += seconds
    }
  }

  /// In Prometheus' text format, version 0.0.4.
  func text(keys: Int, attachments: Int) -> String {
    let state = state.withLock { $0 }
    var lines: [String] = []
    func metric(_ name: String, _ type: String, _ help: String) {
      lines += ["# HELP coffer_\(name) \(help)", "# TYPE coffer_\(name) \(type)"]
    }
    let requests = state.requests.sorted {
      ($0.key.method, $0.key.status) < ($1.key.method, $1.key.status)
    }
    func add(_ name: String, _ requests: [(key: Kind, value: Int)]) {
      lines += requests.map { kind, count in
        "coffer_\(name){method=\"\(kind.method)\",status=\"\(kind.status)\"} \(count)"
      }
    }
    metric("requests_total", "counter", "Requests that were answered.")
    add("requests_total", requests)
    metric(
      "request_errors_total", "counter", "Requests that were answered with status 400 or more.")
    add("request_errors_total", requests.filter { $0.key.status >= 400 })
    metric("request_duration_seconds", "histogram", "How long requests took.")
    var total = 0
    for (index, bound) in (Self.bounds.map { "\($0)" } + ["+Inf"]).enumerated() {
      total += state.buckets[index]
      lines.append("coffer_request_duration_seconds_bucket{le=\"\(bound)\"} \(total)")
    }
    lines.append("coffer_request_duration_seconds_sum \(state.seconds)")
    lines.append("coffer_request_duration_seconds_count \(total)")
    metric("keys", "gauge", "Keys that are stored.")
    lines.append("coffer_keys \(keys)")
    metric("attachments", "gauge", "Volumes that are attached.")
    lines.append("coffer_attachments \(attachments)")
    return lines.joined(separator: "\n") + "\n"
  }
}
