import Testing

@testable import Benchmark

struct SamplesTests {
  // Values of R's quantile(type = 7).
  @Test func quantilesLieBetweenNeighbours() {
    let samples = Samples([4, 1, 3, 2])
    #expect(samples.median == 2.5)
    #expect(samples.lowerQuartile == 1.75)
    #expect(samples.upperQuartile == 3.25)
    #expect(samples.relativeSpread == 0.3)
  }

  @Test func aSingleValueHasNoSpread() {
    let samples = Samples([7])
    #expect(samples.median == 7)
    #expect(samples.relativeSpread == 0)
  }

  @Test func theMedianIgnoresAnOutlier() {
    #expect(Samples([10, 11, 10, 1000, 9]).median == 10)
  }

  @Test func ratiosArePairedByRound() {
    // Both halve in the second round; the quotient of each round is 2.
    #expect(Samples([20, 10, 20]).ratio(to: Samples([10, 5, 10])) == 2)
    #expect(Samples([8, 30]).ratio(to: Samples([4, 10])) == 2.5)
    #expect(Samples([1]).ratio(to: Samples([0])) == nil)
  }
}
