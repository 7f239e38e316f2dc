@testable import Benchmark

extension Report {
  /// Two panels, one with a baseline, references and names that need escaping.
  static var sample: Report {
    var speed = Panel(
      title: "Reads & writes", unit: "GiB/s", groupLabel: "job",
      groups: ["1 MiB read", "4 KiB <random>"],
      series: [
        .init("coffer"), .init("a|b \"peer\""), .init("plain file", isReference: true),
      ], baseline: "plain file")
    speed["1 MiB read", "coffer"] = Samples([3, 4, 5])
    speed["1 MiB read", "plain file"] = Samples([6, 8, 10])
    speed["4 KiB <random>", "coffer"] = Samples([0.25, 0.25, 0.31])
    speed["4 KiB <random>", "a|b \"peer\""] = Samples([0.0712, 0.0712, 0.0712])
    speed["4 KiB <random>", "plain file"] = Samples([1, 1, 1])
    var time = Panel(
      title: "Attach", unit: "ms", lowerIsBetter: true, groupLabel: "step", groups: ["attach"],
      series: [.init("coffer")])
    time["attach", "coffer"] = Samples([41.5])
    return Report(
      title: "Sample", method: "Median of 3 <rounds>.",
      machine: Machine(
        processor: "Processor A&B", processorCount: 4, system: "Linux 6.1", load: 0.25,
        date: "2026-01-31"), command: "coffer bench sample", panels: [speed, time])
  }
}
