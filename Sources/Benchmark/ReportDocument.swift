/// The JSON form of a report.
extension Report: Encodable {
  private enum CodingKeys: String, CodingKey {
    case title, method, machine, command, panels
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(title, forKey: .title)
    try container.encode(method, forKey: .method)
    try container.encode(machine, forKey: .machine)
    try container.encode(command, forKey: .command)
    try container.encode(panels.map(PanelDocument.init), forKey: .panels)
  }
}

private struct PanelDocument: Encodable {
  let title: String
  let unit: String
  let lowerIsBetter: Bool
  let baseline: String?
  let results: [Result]

  struct Result: Encodable {
    let group: String
    let series: String
    let median: Double
    let lowerQuartile: Double
    let upperQuartile: Double
    let timesBaseline: Double?
    let samples: [Double]

    enum CodingKeys: String, CodingKey {
      case group, series, median
      case lowerQuartile = "lower_quartile"
      case upperQuartile = "upper_quartile"
      case timesBaseline = "times_baseline"
      case samples
    }
  }

  enum CodingKeys: String, CodingKey {
    case title, unit
    case lowerIsBetter = "lower_is_better"
    case baseline, results
  }

  init(_ panel: Panel) {
    title = panel.title
    unit = panel.unit
    lowerIsBetter = panel.lowerIsBetter
    baseline = panel.baseline
    results = panel.groups.flatMap { group in
      panel.series.compactMap { series in
        panel[group, series.name].map { samples in
          Result(
            group: group, series: series.name, median: samples.median,
            lowerQuartile: samples.lowerQuartile, upperQuartile: samples.upperQuartile,
            timesBaseline: panel.ratio(group, series.name), samples: samples.values)
        }
      }
    }
  }
}
