import KeyManager
import Testing

@Suite struct TimestampTests {
  /// Seconds by date(1).
  @Test(
    arguments: [
      (0, 0, "1970-01-01T00:00:00.000000"),
      (0, -1, "1969-12-31T23:59:59.999999"),
      (-1, 0, "1969-12-31T23:59:59.000000"),
      (-1, -1, "1969-12-31T23:59:58.999999"),
      (0, 123_456, "1970-01-01T00:00:00.123456"),
      (0, 7, "1970-01-01T00:00:00.000007"),
      (951_827_696, 0, "2000-02-29T12:34:56.000000"),
      (1_709_164_800, 0, "2024-02-29T00:00:00.000000"),
      (4_107_542_399, 999_999, "2100-02-28T23:59:59.999999"),
      (4_107_542_400, 0, "2100-03-01T00:00:00.000000"),
      (-58_057_077, 0, "1968-02-29T01:02:03.000000"),
      (-2_203_891_200, 0, "1900-03-01T00:00:00.000000"),
      (253_402_300_799, 999_999, "9999-12-31T23:59:59.999999"),
      (-62_135_596_800, 0, "0001-01-01T00:00:00.000000"),
    ] as [(Int64, Int64, String)])
  func isWrittenAsBarbicanDoes(_ seconds: Int64, _ microseconds: Int64, _ text: String) {
    let moment = Timestamp(microseconds: seconds * 1_000_000 + microseconds)
    #expect(moment.description == text)
  }

  @Test func isOrdered() {
    #expect(Timestamp(microseconds: -1) < Timestamp(microseconds: 0))
    #expect(Timestamp.now() > Timestamp(microseconds: 1_700_000_000_000_000))
  }
}
