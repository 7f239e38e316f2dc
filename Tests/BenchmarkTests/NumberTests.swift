import Testing

@testable import Benchmark

struct NumberTests {
  @Test(arguments: [
    (0, "0"), (0.0421, "0.042"), (0.0996, "0.10"), (0.854, "0.85"), (9.994, "9.99"),
    (9.996, "10.0"), (13.24, "13.2"), (99.96, "100"), (490.4, "490"), (12345, "12345"),
    (-1.5, "-1.50"), (-0.0001, "0.000"),
  ])
  func hasThreeDigits(value: Double, text: String) {
    #expect(Number.text(value) == text)
  }

  @Test func percentagesAreWhole() {
    #expect(Number.percent(0.0249) == "2 %")
  }

  @Test(arguments: [
    (13.9, 5.0, 15.0), (0.6, 0.2, 0.6), (1.0, 0.2, 1.0), (490, 100, 500), (7, 2, 8), (0, 0.2, 1),
  ])
  func axesEndAtRoundNumbers(largest: Double, step: Double, end: Double) {
    let axis = Axis(upTo: largest)
    #expect(abs(axis.step - step) < 1e-9)
    #expect(abs(axis.end - end) < 1e-9)
    #expect(axis.ticks.count == Int((end / step).rounded()) + 1)
  }

  @Test func ticksHaveTheDigitsThatTheyNeed() {
    #expect(Axis(upTo: 0.6).ticks.map(Axis(upTo: 0.6).text) == ["0.0", "0.2", "0.4", "0.6"])
    #expect(Axis(upTo: 12).ticks.map(Axis(upTo: 12).text).last == "12.5")
    #expect(Axis(upTo: 490).ticks.map(Axis(upTo: 490).text).last == "500")
  }
}
