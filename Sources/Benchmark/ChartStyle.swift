/// The colours and type of a chart. The colours of the contestants differ also for readers who do not tell red
/// from green; references are grey.
enum ChartStyle {
  private static let colours: [(light: String, dark: String)] = [
    ("#1d6fd1", "#5aa2f5"), ("#e07b1a", "#f0a04b"), ("#12966f", "#3cc79c"),
    ("#a3479b", "#d585cd"), ("#c9a400", "#e6c84a"), ("#c23b4a", "#ef7e8b"),
  ]
  private static let greys: [(light: String, dark: String)] = [
    ("#7d8794", "#8a94a1"), ("#b9c0c9", "#5b646f"),
  ]

  /// The class of each series' bars.
  static func classes(for series: [Panel.Series]) -> [String] {
    var contestants = 0
    var references = 0
    return series.map { series in
      if series.isReference {
        defer { references += 1 }
        return "r\(references % greys.count)"
      }
      defer { contestants += 1 }
      return "s\(contestants % colours.count)"
    }
  }

  static var sheet: String {
    """
    text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2933 }
    .title { font-size: 17px; font-weight: 600 }
    .panel { font-size: 13.5px; font-weight: 600 }
    .note { font-size: 11px; fill: #5f6b7a }
    .group { text-anchor: end }
    .value { font-size: 11px }
    .tick { font-size: 10.5px; text-anchor: middle; fill: #5f6b7a }
    .ground { fill: #ffffff }
    .grid { stroke: #e4e8ec; fill: none }
    .base { stroke: #9aa5b1; fill: none }
    .whisker { stroke: #1f2933; stroke-opacity: 0.65; fill: none }
    .break { stroke: #ffffff; stroke-width: 2.5; fill: none }
    \(fills(\.light))
    @media (prefers-color-scheme: dark) {
    text { fill: #e6e9ed }
    .note, .tick { fill: #9aa5b1 }
    .ground { fill: #14181d }
    .grid { stroke: #2a313a }
    .base { stroke: #66707c }
    .whisker { stroke: #f4f6f8 }
    .break { stroke: #14181d }
    \(fills(\.dark))
    }
    """
  }

  private static func fills(_ scheme: KeyPath<(light: String, dark: String), String>) -> String {
    let contestants = colours.enumerated().map { ".s\($0) { fill: \($1[keyPath: scheme]) }" }
    let references = greys.enumerated().map { ".r\($0) { fill: \($1[keyPath: scheme]) }" }
    return (contestants + references).joined(separator: "\n")
  }
}
