/// One thing to measure: a cell of a panel.
struct Case {
  /// The index of the report's panel.
  let panel: Int
  let group: String
  let series: String
  /// One sample in the panel's unit.
  let measure: () throws -> Double
}

/// Measures all cases once in each round, so that what changes on the machine in the meantime hits all
/// alike; every second round backwards, so that none always follows the same one.
struct InterleavedRun {
  let rounds: Int
  /// Told before each measurement.
  let progress: Progress

  /// Fills in the cells of `panels`.
  func run(_ cases: [Case], into panels: inout [Panel]) throws {
    var results = [[Double]](repeating: [], count: cases.count)
    progress.begin(steps: rounds * cases.count)
    defer { progress.end() }
    for round in 0..<rounds {
      let order = Array(cases.indices)
      for index in round % 2 == 0 ? order : order.reversed() {
        try Interruption.check()
        let step = cases[index]
        progress.step("round \(round + 1) of \(rounds): \(step.series), \(step.group)")
        results[index].append(try step.measure())
      }
    }
    for (step, values) in zip(cases, results) {
      panels[step.panel][step.group, step.series] = Samples(values)
    }
  }
}
