import Testing

@testable import CofferService

@Suite struct MetricsTests {
  @Test func theyCountWhatHappened() async throws {
    try await withService { service in
      _ = try await service.makeKey()
      _ = try await service.makeKey()
      _ = try await service.ask("GET", "/v1/secrets/nonsense")
      let answer = try await service.ask("GET", "/metrics")
      #expect(answer.status == 200)
      #expect(answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
      let lines = Set(answer.text.split(separator: "\n"))
      for line in [
        #"coffer_requests_total{method="POST",status="201"} 2"#,
        #"coffer_requests_total{method="GET",status="404"} 1"#,
        #"coffer_request_errors_total{method="GET",status="404"} 1"#,
        #"coffer_request_duration_seconds_bucket{le="+Inf"} 3"#,
        "coffer_request_duration_seconds_count 3", "coffer_keys 2", "coffer_attachments 0",
        "# TYPE coffer_request_duration_seconds histogram",
      ] as [Substring] {
        #expect(lines.contains(line), "\(line)")
      }
      #expect(!answer.text.contains(#"errors_total{method="POST""#))
    }
  }

  @Test func theBucketsAddUp() {
    let metrics = RequestMetrics()
    for milliseconds in [1, 2, 60, 60_000] {
      metrics.note(.get, status: .ok, took: .milliseconds(milliseconds))
    }
    metrics.note(.init("BREW")!, status: .notFound, took: .zero)
    let text = metrics.text(keys: 0, attachments: 0)
    for (bound, count) in [("0.001", 2), ("0.005", 3), ("0.05", 3), ("0.1", 4), ("30.0", 4)] {
      #expect(text.contains("bucket{le=\"\(bound)\"} \(count)\n"))
    }
    #expect(text.contains("bucket{le=\"+Inf\"} 5\n"))
    #expect(text.contains(#"{method="other",status="404"} 1"#))
  }

  @Test func theyAreForTheAdministrator() async throws {
    try await withService { service in
      let answer = try await askAs(
        uid: IdentityTests.alice, service.socket, text: requestText("GET", "/metrics"))
      #expect(answer.status == 403)
    }
  }
}
