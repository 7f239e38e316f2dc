import Foundation
import Testing

@testable import Benchmark

struct ReportTests {
  @Test func theTableAlignsItsColumns() {
    let expected = """
      Sample
      Processor A&B, 4 processors, Linux 6.1, 2026-01-31, load 0.3 before
      Median of 3 <rounds>.

      Reads & writes (GiB/s; × is against plain file)
      job                     coffer  a|b "peer"  plain file
      1 MiB read      4.00 ±13 % ×0.50           -  8.00 ±13 %
      4 KiB <random>  0.25 ±6 % ×0.25  0.071 ±0 % ×0.071  1.00 ±0 %

      Attach (ms, less is better)
      step    coffer
      attach    41.5
      """
    // What it says; the widths are checked by themselves.
    let squeezed = { (text: String) in
      text.split(separator: "\n").map { line in
        line.split(separator: " ").joined(separator: " ")
      }
    }
    #expect(squeezed(Report.sample.text) == squeezed(expected))
    let table = Report.sample.text.split(separator: "\n").map(String.init)
    let first = table.firstIndex { $0.hasPrefix("job") }!
    #expect(Set(table[first...(first + 2)].map(\.count)).count == 1)
  }

  @Test func markdownHasACellPerSeries() {
    let lines = Report.sample.markdown.split(separator: "\n").map(String.init)
    #expect(lines.contains("| job | coffer | a\\|b \"peer\" | plain file |"))
    #expect(lines.contains("|---|--:|--:|--:|"))
    #expect(lines.contains("| 1 MiB read | 4.00 ±13 % ×0.50 | - | 8.00 ±13 % |"))
    #expect(lines.last == "    coffer bench sample")
  }

  @Test func jsonHasTheSamples() throws {
    let data = try JSONEncoder().encode(Report.sample)
    let report = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
    let panels = try #require(report["panels"] as? [[String: Any]])
    let results = try #require(panels[0]["results"] as? [[String: Any]])
    #expect(results.count == 5)
    #expect(results[0]["series"] as? String == "coffer")
    #expect(results[0]["median"] as? Double == 4)
    #expect(results[0]["lower_quartile"] as? Double == 3.5)
    #expect(results[0]["times_baseline"] as? Double == 0.5)
    #expect(results[0]["samples"] as? [Double] == [3, 4, 5])
    #expect(results[1]["times_baseline"] == nil)
    #expect(panels[1]["lower_is_better"] as? Bool == true)
    #expect((report["machine"] as? [String: Any])?["processors"] as? Int == 4)
  }
}
