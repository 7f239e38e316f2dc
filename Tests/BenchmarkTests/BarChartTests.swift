import DataPlaneTesting
import Foundation
import Testing

@testable import Benchmark

struct BarChartTests {
  /// The texts of a document, as another implementation's parser sees them; a failure is no XML.
  private func texts(of svg: String) throws -> [String] {
    let path = "/tmp/coffer-chart-\(UUID().uuidString).svg"
    try svg.write(toFile: path, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let script = """
      import sys, xml.etree.ElementTree as tree
      root = tree.parse(sys.argv[1]).getroot()
      assert root.tag == '{http://www.w3.org/2000/svg}svg', root.tag
      print('\\n'.join(e.text for e in root.iter('{http://www.w3.org/2000/svg}text')))
      """
    let result = try Command.run("/usr/bin/python3", ["-c", script, path])
    try #require(result.status == 0, "\(result.output)")
    return result.output.split(separator: "\n").map(String.init)
  }

  @Test func showsEveryValueOnce() throws {
    let texts = try texts(of: Report.sample.svg)
    for value in ["4.00 · ×0.50", "8.00", "0.25 · ×0.25", "0.071 · ×0.071", "1.00", "41.5"] {
      #expect(texts.count { $0 == value } == 1, "\(value)")
    }
    for name in ["coffer", "a|b \"peer\"", "plain file", "1 MiB read", "4 KiB <random>", "attach"] {
      #expect(texts.contains(name), "\(name)")
    }
    #expect(texts.contains("Attach (ms, less is better)"))
    #expect(texts.joined(separator: " ").contains("Processor A&B, 4 processors, Linux 6.1"))
  }

  @Test func barsAreAsLongAsTheirValues() throws {
    let widths = Report.sample.svg.matches(of: /class="[sr]\d" x="259" y="[\d.]+" width="([\d.]+)"/)
      .compactMap { Double($0.output.1) }
    #expect(widths.count == 6)
    // 4 and 8 GiB/s.
    #expect(abs(widths[1] / widths[0] - 2) < 0.01)
  }

  @Test func nothingIsOutsideOfThePicture() throws {
    var panel = Panel(
      title: "p", unit: "u", groupLabel: "g", groups: ["g"],
      series: [.init("fast"), .init("wide", isReference: true), .init("far", isReference: true)])
    panel["g", "fast"] = Samples([10, 10, 10])
    panel["g", "wide"] = Samples([12, 14, 90])
    panel["g", "far"] = Samples([1000, 1000, 1000])
    var report = Report.sample
    report.panels = [panel]
    let svg = report.svg
    let positions = svg.matches(of: /class="value" x="([\d.]+)"/).compactMap {
      Double($0.output.1)
    }
    #expect(positions.count == 3)
    #expect(positions.allSatisfy { $0 > 0 && $0 < 900 })
    #expect(svg.matches(of: /class="break"/).count == 1)
    #expect(try texts(of: svg).contains("1000"))
  }

  @Test func controlCharactersDoNotBreakIt() throws {
    var report = Report.sample
    report.title = "a\u{1}b ]]> <!-- & 'c'"
    #expect(try texts(of: report.svg).contains("a\u{FFFD}b ]]> <!-- & 'c'"))
  }

  @Test func longTextIsWrapped() {
    #expect(BarChart.wrapped("aa bb cc", width: 5) == ["aa bb", "cc"])
    #expect(BarChart.wrapped("aaaaaaaa b", width: 3) == ["aaaaaaaa", "b"])
  }
}
