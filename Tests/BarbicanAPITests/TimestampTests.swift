import BarbicanAPI
import KeyManager
import Testing

@Suite struct TimestampTests {
  /// Seconds as GNU date gives them for the text.
  @Test(arguments: [
    ("1970-01-01", 0, 0),
    ("2026-11-21T02:33:23.162241", 1_795_228_403, 162_241),
    ("2026-11-21T02:33:23", 1_795_228_403, 0),
    ("2026-11-21 02:33:23Z", 1_795_228_403, 0),
    ("2026-11-21T02:33", 1_795_228_380, 0),
    ("2026-11-21T03:33:23.5+01:00", 1_795_228_403, 500_000),
    ("2026-11-20T20:03:23,25-0630", 1_795_228_403, 250_000),
    ("2026-11-21T04:33:23+02", 1_795_228_403, 0),
    ("2026-11-21T02:33:23.1234567899Z", 1_795_228_403, 123_456),
    ("2000-02-29T23:59:59", 951_868_799, 0),
    ("1969-12-31T23:59:59.000001", -1, 1),
    ("2100-03-01T00:00:00", 4_107_542_400, 0),
    ("0001-01-01T00:00:00", -62_135_596_800, 0),
    ("9999-12-31T23:59:59", 253_402_300_799, 0),
  ])
  func reads(_ text: String, _ seconds: Int64, _ microseconds: Int64) throws {
    let timestamp = try #require(Timestamp(iso8601: text))
    #expect(timestamp.microseconds == seconds * 1_000_000 + microseconds)
  }

  @Test(arguments: [
    "", "yesterday", "2026", "2026-13-01", "2026-00-01", "2026-02-29", "2100-02-29", "2026-04-31",
    "2026-11-21T", "2026-11-21T24:00:00", "2026-11-21T02:60", "2026-11-21T02:33:60",
    "2026-11-21T02:33:23.", "2026-11-21T02:33:23.1x", "2026-11-21T02:33:23+1", "0000-01-01",
    "2026-11-21T02:33:23+01:0", "2026-11-21T02:33:23ZZ", "2026-11-21Z", " 2026-11-21",
    "2026-11-21T02:33:23+24:00", "٢٠٢٦-11-21",
  ])
  func refuses(_ text: String) {
    #expect(Timestamp(iso8601: text) == nil)
  }

  @Test func readsWhatItPrints() {
    let seed = UInt64.random(in: .min ... .max)
    print("seed \(seed)")
    var state = seed
    for _ in 0..<1000 {
      // Knuth's MMIX generator; years 1 to 9999.
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let span: UInt64 = 315_537_897_600_000_000
      let timestamp = Timestamp(
        microseconds: Int64(state % span) - 62_135_596_800_000_000)
      #expect(Timestamp(iso8601: timestamp.description) == timestamp)
    }
  }
}
