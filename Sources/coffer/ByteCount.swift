import ArgumentParser

/// A size on the command line, a whole number and a unit: a plain one counts
/// bytes; K M G T P (or KiB …) are powers of 1024, kB MB GB TB PB are powers of 1000.
struct ByteCount: ExpressibleByArgument, Equatable {
  let bytes: UInt64

  init?(argument: String) {
    let digits = argument.prefix { $0.isASCII && $0.isNumber }
    guard let number = UInt64(digits), let unit = Self.unit(argument.dropFirst(digits.count)) else {
      return nil
    }
    let (product, overflow) = number.multipliedReportingOverflow(by: unit)
    guard !overflow else { return nil }
    bytes = product
  }

  private static func unit(_ suffix: Substring) -> UInt64? {
    if suffix.isEmpty || suffix == "B" { return 1 }
    guard let letter = suffix.first,
      let power = "KMGTP".firstIndex(of: Character(letter.uppercased()))
    else { return nil }
    let base: UInt64
    switch suffix.dropFirst() {
    case "", "iB": base = 1024
    case "B": base = 1000
    default: return nil
    }
    return (0..."KMGTP".distance(from: "KMGTP".startIndex, to: power)).reduce(1) { value, _ in
      value * base
    }
  }

  /// For people: `10 GiB`, `1.5 MiB`, `513 B`.
  static func text(_ bytes: UInt64) -> String {
    var unit: UInt64 = 1
    var name = "B"
    for (index, candidate) in ["KiB", "MiB", "GiB", "TiB", "PiB"].enumerated() {
      let size = UInt64(1) << (10 * UInt64(index + 1))
      if bytes < size { break }
      unit = size
      name = candidate
    }
    let tenths = bytes * 10 / unit
    if unit == 1 || bytes % unit == 0 { return "\(bytes / unit) \(name)" }
    return "\(tenths / 10).\(tenths % 10) \(name)"
  }
}
