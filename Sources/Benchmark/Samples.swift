/// The results of one case, one per round, in the order of the rounds.
public struct Samples: Sendable, Equatable {
  /// Never empty.
  public let values: [Double]

  /// - Parameter values: at least one.
  public init(_ values: [Double]) {
    precondition(!values.isEmpty)
    self.values = values
  }

  public var median: Double { quantile(0.5) }
  public var lowerQuartile: Double { quantile(0.25) }
  public var upperQuartile: Double { quantile(0.75) }

  /// Half the distance between the quartiles as a part of the median; 0 for a median of 0.
  public var relativeSpread: Double {
    median == 0 ? 0 : (upperQuartile - lowerQuartile) / 2 / median
  }

  /// The median of the quotients of each round. What disturbs a machine for a while disturbs both cases of
  /// a round, so this is steadier than the quotient of the medians.
  ///
  /// - Parameter other: of the same rounds.
  /// - Returns: nil where `other` has a zero.
  public func ratio(to other: Samples) -> Double? {
    precondition(values.count == other.values.count)
    guard !other.values.contains(0) else { return nil }
    return Samples(zip(values, other.values).map { $0 / $1 }).median
  }

  /// Linear between the two nearest values, as R's type 7 and NumPy's default.
  ///
  /// - Parameter fraction: 0 to 1.
  func quantile(_ fraction: Double) -> Double {
    let sorted = values.sorted()
    let position = fraction * Double(sorted.count - 1)
    let below = Int(position)
    let above = min(below + 1, sorted.count - 1)
    return sorted[below] + (position - Double(below)) * (sorted[above] - sorted[below])
  }
}
