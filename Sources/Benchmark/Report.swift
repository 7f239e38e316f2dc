/// What a benchmark found: for a table, a chart or JSON.
public struct Report: Sendable {
  /// What was measured, a few words.
  public var title: String
  /// How it was measured: a sentence for people who want to know what the numbers mean.
  public var method: String
  public var machine: Machine
  /// The command line that measures this again.
  public var command: String
  public var panels: [Panel]

  public init(
    title: String, method: String, machine: Machine, command: String, panels: [Panel]
  ) {
    self.title = title
    self.method = method
    self.machine = machine
    self.command = command
    self.panels = panels
  }
}

/// Results in one unit, so in one table and on one axis: a row per group, a column per series.
public struct Panel: Sendable {
  /// For a column: a kernel, a mount.
  public struct Series: Sendable, Equatable {
    public var name: String
    /// Not a contestant but a measure for them: a limit, or the way without Coffer.
    public var isReference: Bool

    public init(_ name: String, isReference: Bool = false) {
      self.name = name
      self.isReference = isReference
    }
  }

  public var title: String
  public var unit: String
  /// Whether less is better, as with times.
  public var lowerIsBetter: Bool
  /// What the groups are: the head of the first column.
  public var groupLabel: String
  public var groups: [String]
  public var series: [Series]
  /// The name of the series that the others are divided by, if any.
  public var baseline: String?
  private var cells: [String: Samples] = [:]

  public init(
    title: String, unit: String, lowerIsBetter: Bool = false, groupLabel: String, groups: [String],
    series: [Series], baseline: String? = nil
  ) {
    self.title = title
    self.unit = unit
    self.lowerIsBetter = lowerIsBetter
    self.groupLabel = groupLabel
    self.groups = groups
    self.series = series
    self.baseline = baseline
  }

  /// Nil where nothing was measured.
  public subscript(group: String, series: String) -> Samples? {
    get { cells["\(group)\0\(series)"] }
    set { cells["\(group)\0\(series)"] = newValue }
  }

  /// How many times the baseline's value the series' value is; nil without a baseline or for itself.
  public func ratio(_ group: String, _ series: String) -> Double? {
    guard let baseline, baseline != series, let own = self[group, series],
      let other = self[group, baseline]
    else { return nil }
    return own.ratio(to: other)
  }
}
