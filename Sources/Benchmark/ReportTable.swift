extension Report {
  /// Tables for a terminal.
  public var text: String {
    var parts = ["\(title)\n\(machine)\n\(method)"]
    for panel in panels {
      let rows = panel.rows
      let widths = rows[0].indices.map { column in rows.map(\.[column].count).max() ?? 0 }
      let lines = rows.map { cells in
        cells.indices.map { column in
          let padding = String(repeating: " ", count: widths[column] - cells[column].count)
          return column == 0 ? cells[column] + padding : padding + cells[column]
        }.joined(separator: "  ")
      }
      parts.append("\(panel.heading)\n" + lines.joined(separator: "\n"))
    }
    return parts.joined(separator: "\n\n")
  }

  /// Tables in Markdown.
  public var markdown: String {
    var parts: [String] = []
    for panel in panels {
      let rows = panel.rows.map { cells in
        "| " + cells.map(Self.escaped).joined(separator: " | ") + " |"
      }
      let rule = "|---" + String(repeating: "|--:", count: panel.series.count) + "|"
      parts.append(
        "**\(panel.heading)**\n\n" + ([rows[0], rule] + rows.dropFirst()).joined(separator: "\n"))
    }
    parts.append("\(machine). \(method)\n\n    \(command)")
    return parts.joined(separator: "\n\n")
  }

  private static func escaped(_ cell: String) -> String {
    cell.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
  }
}

extension Panel {
  var heading: String {
    let comparison = baseline.map { "; × is against \($0)" } ?? ""
    return "\(title) (\(unit)\(lowerIsBetter ? ", less is better" : "")\(comparison))"
  }

  /// The head and a row for each group.
  var rows: [[String]] {
    [[groupLabel] + series.map(\.name)]
      + groups.map { group in [group] + series.map { cell(group, $0.name) } }
  }

  private func cell(_ group: String, _ series: String) -> String {
    guard let samples = self[group, series] else { return "-" }
    let value = Number.text(samples.median)
    let spread = samples.values.count > 1 ? " ±\(Number.percent(samples.relativeSpread))" : ""
    let ratio = ratio(group, series).map { " ×\(Number.text($0))" } ?? ""
    return value + spread + ratio
  }
}
