internal import Glibc

/// Numbers for people.
enum Number {
  /// Three significant digits, thousands in full: `13.2`, `0.85`, `490`, `1234`.
  static func text(_ value: Double) -> String {
    let magnitude = abs(value)
    let decimals =
      switch magnitude {
      case 0: 0
      case ..<0.0995: 3
      case ..<9.995: 2
      case ..<99.95: 1
      default: 0
      }
    return text(value, decimals: decimals)
  }

  static func text(_ value: Double, decimals: Int) -> String {
    let scale = pow(10, Double(decimals))
    let scaled = (abs(value) * scale).rounded()
    guard scaled < 9e15 else { return "\(value)" }
    let whole = String(Int(scaled))
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard decimals > 0 else { return sign + whole }
    let padded = String(repeating: "0", count: max(0, decimals + 1 - whole.count)) + whole
    return sign + padded.dropLast(decimals) + "." + padded.suffix(decimals)
  }

  /// `2 %`.
  static func percent(_ fraction: Double) -> String {
    text(fraction * 100, decimals: 0) + " %"
  }
}
