internal import Glibc

/// An axis from 0 with a mark at round numbers.
struct Axis {
  let step: Double
  /// A multiple of `step`, the largest value or a little more.
  let end: Double

  init(upTo largest: Double) {
    let largest = largest > 0 && largest.isFinite ? largest : 1
    let rough = largest / 5
    let power = pow(10, floor(log10(rough)))
    step = power * ([1.0, 2, 2.5, 5].first { rough <= $0 * power * 1.000_001 } ?? 10)
    end = ceil(largest / step - 1e-6) * step
  }

  var ticks: [Double] { (0...Int((end / step).rounded())).map { Double($0) * step } }

  func text(_ tick: Double) -> String {
    let decimals = (0...6).first { decimals in
      let scaled = step * pow(10, Double(decimals))
      return abs(scaled - scaled.rounded()) < 1e-6 * scaled
    }
    return Number.text(tick, decimals: decimals ?? 6)
  }
}
