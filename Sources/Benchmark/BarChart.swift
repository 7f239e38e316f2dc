/// A report as a chart: horizontal bars in groups, each with its value and a whisker between the quartiles.
/// SVG 1.1 that stands alone; it follows the reader's choice of light or dark.
struct BarChart {
  let report: Report

  private static let width = 960.0
  private static let margin = 24.0
  private static let labelWidth = 235.0
  /// Room for a value right of the longest bar.
  private static let valueWidth = 120.0
  private static let barHeight = 13.0
  private static let barPitch = 16.0
  private static let groupGap = 12.0

  private static var plotStart: Double { margin + labelWidth }
  private static var plotWidth: Double { width - plotStart - valueWidth - margin }

  /// A document.
  var svg: String {
    var y = Self.margin + 16
    var body = text(report.title, x: Self.margin, y: y, class: "title")
    y += 18
    for line in Self.wrapped("\(report.machine). \(report.method)", width: 138) {
      body += text(line, x: Self.margin, y: y, class: "note")
      y += 15
    }
    for panel in report.panels { body += drawing(of: panel, y: &y) }
    let height = Self.pixels(y + Self.margin - 8)
    let width = Self.pixels(Self.width)
    return """
      <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" \
      viewBox="0 0 \(width) \(height)" role="img" aria-label="\(Self.escaped(report.title))">
      <title>\(Self.escaped(report.title))</title>
      <style>
      \(ChartStyle.sheet)
      </style>
      <rect class="ground" width="\(width)" height="\(height)" rx="8"/>
      \(body)</svg>

      """
  }

  private func drawing(of panel: Panel, y: inout Double) -> String {
    y += 22
    var body = text(panel.heading, x: Self.margin, y: y, class: "panel")
    y += 18
    let styles = ChartStyle.classes(for: panel.series)
    body += legend(of: panel, styles, y: &y)
    let axis = Axis(for: panel)
    let top = y
    var bars = ""
    for group in panel.groups {
      y += Self.groupGap
      bars += drawing(of: group, in: panel, styles, axis, y: &y)
    }
    y += Self.groupGap
    defer { y += 18 }
    return body + drawing(of: axis, from: top, to: y) + bars
  }

  private func drawing(
    of group: String, in panel: Panel, _ styles: [String], _ axis: Axis, y: inout Double
  ) -> String {
    let measured = zip(panel.series, styles).compactMap { series, style in
      panel[group, series.name].map { (series, style, $0) }
    }
    let middle = y + Double(measured.count) * Self.barPitch / 2 + 3
    var body = text(group, x: Self.plotStart - 10, y: middle, class: "group")
    for (series, style, samples) in measured {
      let value = Number.text(samples.median)
      let ratio = panel.ratio(group, series.name).map { " · ×\(Number.text($0))" } ?? ""
      let isBroken = samples.median > axis.end
      let length = max(1, Self.plotWidth * min(samples.median / axis.end, 1))
      let tip = "\(Self.escaped(series.name)), \(Self.escaped(group)): \(value) \(panel.unit)"
      body += """
        <g><title>\(tip)</title><rect class="\(style)" x="\(Self.pixels(Self.plotStart))" \
        y="\(Self.pixels(y))" width="\(Self.pixels(length))" \
        height="\(Self.pixels(Self.barHeight))" rx="2"/></g>

        """
      var end = Self.plotStart + length
      if isBroken {
        body +=
          "<path class=\"break\" d=\"M\(Self.pixels(end - 14)) \(Self.pixels(y + 15))l6 -17m5 0l-6 17\"/>\n"
      } else {
        let whisker = whisker(of: samples, axis, y: y + Self.barHeight / 2)
        body += whisker.drawing
        end = max(end, whisker.end)
      }
      body += text(value + ratio, x: end + 6, y: y + 10.5, class: "value")
      y += Self.barPitch
    }
    return body
  }

  private func whisker(
    of samples: Samples, _ axis: Axis, y: Double
  ) -> (drawing: String, end: Double) {
    let from = Self.plotStart + Self.plotWidth * samples.lowerQuartile / axis.end
    // That of a reference may go beyond the axis.
    let to = Self.plotStart + Self.plotWidth * min(samples.upperQuartile / axis.end, 1)
    guard to - from >= 2 else { return ("", to) }
    let path =
      "M\(Self.pixels(from)) \(Self.pixels(y - 3))v6m0 -3H\(Self.pixels(to))m0 -3v6"
    return ("<path class=\"whisker\" d=\"\(path)\"/>\n", to)
  }

  private func legend(of panel: Panel, _ styles: [String], y: inout Double) -> String {
    guard panel.series.count > 1 else { return "" }
    var body = ""
    var x = Self.margin
    for (series, style) in zip(panel.series, styles) {
      let needed = 26 + 6.6 * Double(series.name.count)
      if x + needed > Self.width - Self.margin {
        x = Self.margin
        y += 18
      }
      body +=
        "<rect class=\"\(style)\" x=\"\(Self.pixels(x))\" y=\"\(Self.pixels(y - 9))\" "
        + "width=\"11\" height=\"11\" rx=\"2\"/>\n"
      body += text(series.name, x: x + 16, y: y, class: "legend")
      x += needed + 6
    }
    y += 6
    return body
  }

  private func drawing(of axis: Axis, from top: Double, to bottom: Double) -> String {
    var body = ""
    for tick in axis.ticks {
      let x = Self.plotStart + Self.plotWidth * tick / axis.end
      body +=
        "<path class=\"\(tick == 0 ? "base" : "grid")\" "
        + "d=\"M\(Self.pixels(x)) \(Self.pixels(top))V\(Self.pixels(bottom))\"/>\n"
      body += text(axis.text(tick), x: x, y: bottom + 13, class: "tick")
    }
    return body
  }

  // MARK: Text

  private func text(_ content: String, x: Double, y: Double, class style: String) -> String {
    "<text class=\"\(style)\" x=\"\(Self.pixels(x))\" y=\"\(Self.pixels(y))\">"
      + "\(Self.escaped(content))</text>\n"
  }

  private static func pixels(_ value: Double) -> String {
    let rounded = (value * 10).rounded() / 10
    return rounded == rounded.rounded() ? "\(Int(rounded))" : Number.text(rounded, decimals: 1)
  }

  /// XML 1.0, section 2.4; what section 2.2 excludes becomes U+FFFD.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\t", "\n", "\r": result += " "
      case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF:
        result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// Lines of at most `width` characters where words allow.
  static func wrapped(_ text: String, width: Int) -> [String] {
    var lines: [String] = []
    for word in text.split(separator: " ") {
      if let last = lines.last, last.count + 1 + word.count <= width {
        lines[lines.count - 1] += " \(word)"
      } else {
        lines.append(String(word))
      }
    }
    return lines
  }
}

extension Axis {
  /// Long enough for all contestants; a reference far beyond them does not squeeze them: its bar is broken.
  init(for panel: Panel) {
    func largest(_ isReference: Bool) -> Double {
      panel.series.filter { $0.isReference == isReference }
        .flatMap { series in panel.groups.compactMap { panel[$0, series.name] } }
        .map { max($0.median, $0.upperQuartile) }.max() ?? 0
    }
    let contestants = largest(false)
    let references = largest(true)
    let limit = contestants == 0 ? references : 1.5 * contestants
    self.init(upTo: max(contestants, min(references, limit)))
  }
}

extension Report {
  /// A chart as an SVG document.
  public var svg: String { BarChart(report: self).svg }
}
