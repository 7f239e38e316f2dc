public import KeyManager

extension Timestamp {
  /// Reads ISO 8601 as Barbican does: a date, and optionally a time with or without a fraction and a
  /// zone (`Z`, `+01`, `+01:00`, `+0100`); UTC without a zone. Nil for anything else.
  ///
  /// Digits beyond microseconds are dropped. Years run from 1 to 9999.
  public init?(iso8601 text: some StringProtocol) {
    var rest = Array(text.utf8)[...]
    guard let year = rest.takeNumber(digits: 4), year > 0, rest.take("-"),
      let month = rest.takeNumber(digits: 2), rest.take("-"),
      let day = rest.takeNumber(digits: 2),
      (1...12).contains(month), (1...daysInMonth(month, of: year)).contains(day)
    else { return nil }
    var seconds = daysSinceEpoch(year, month, day) * 86_400
    var microseconds: Int64 = 0
    if rest.take("T") || rest.take(" ") {
      guard let hour = rest.takeNumber(digits: 2), hour < 24, rest.take(":"),
        let minute = rest.takeNumber(digits: 2), minute < 60
      else { return nil }
      seconds += hour * 3600 + minute * 60
      if rest.take(":") {
        guard let second = rest.takeNumber(digits: 2), second < 60 else { return nil }
        seconds += second
        if rest.take(".") || rest.take(",") {
          guard let fraction = rest.takeFraction() else { return nil }
          microseconds = fraction
        }
      }
      guard let offset = rest.takeZone() else { return nil }
      seconds -= offset
    }
    guard rest.isEmpty else { return nil }
    self.init(microseconds: seconds * 1_000_000 + microseconds)
  }
}

extension ArraySlice<UInt8> {
  fileprivate mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard first == UInt8(ascii: character) else { return false }
    removeFirst()
    return true
  }

  fileprivate mutating func takeDigit() -> Int64? {
    guard let digit = first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else {
      return nil
    }
    removeFirst()
    return Int64(digit - UInt8(ascii: "0"))
  }

  fileprivate mutating func takeNumber(digits: Int) -> Int64? {
    var number: Int64 = 0
    for _ in 0..<digits {
      guard let digit = takeDigit() else { return nil }
      number = number * 10 + digit
    }
    return number
  }

  /// The digits after the decimal mark, one at least, in microseconds.
  fileprivate mutating func takeFraction() -> Int64? {
    var unit: Int64 = 100_000
    guard let first = takeDigit() else { return nil }
    var microseconds = first * unit
    while let digit = takeDigit() {
      unit /= 10
      microseconds += digit * unit
    }
    return microseconds
  }

  /// How far the zone at the end lies east of UTC, in seconds; 0 without a zone.
  fileprivate mutating func takeZone() -> Int64? {
    if isEmpty || take("Z") { return 0 }
    let sign: Int64 = take("+") ? 1 : -1
    guard sign == 1 || take("-"), let hours = takeNumber(digits: 2), hours < 24 else { return nil }
    if isEmpty { return sign * hours * 3600 }
    _ = take(":")
    guard let minutes = takeNumber(digits: 2), minutes < 60 else { return nil }
    return sign * (hours * 3600 + minutes * 60)
  }
}

private func daysInMonth(_ month: Int64, of year: Int64) -> Int64 {
  switch month {
  case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
  case 4, 6, 9, 11: 30
  default: 31
  }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar; counts years from March, so that the leap
/// day comes last.
private func daysSinceEpoch(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
  let shifted = month > 2 ? year : year - 1
  let monthFromMarch = (month + 9) % 12
  let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
  return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
}

extension KeyedDecodingContainer {
  func decodeTimestamp(_ key: Key) throws -> Timestamp {
    let text = try decode(String.self, forKey: key)
    guard let timestamp = Timestamp(iso8601: text) else {
      throw DecodingError.dataCorruptedError(
        forKey: key, in: self, debugDescription: "'\(text)' is not a time in ISO 8601")
    }
    return timestamp
  }

  func decodeTimestampIfPresent(_ key: Key) throws -> Timestamp? {
    try contains(key) && !decodeNil(forKey: key) ? decodeTimestamp(key) : nil
  }
}
