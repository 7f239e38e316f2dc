/// Secrets as text, without a `String` in between: a `String` cannot be wiped.
extension SecretBytes {
  /// The bytes as lowercase hexadecimal, two characters each.
  public borrowing func hexadecimal() throws(SecretMemoryError) -> SecretBytes {
    var text = try SecretBytes.zeroed(count: count * 2)
    withUnsafeBytes { source in
      text.withUnsafeMutableBytes { target in
        for (index, byte) in source.enumerated() {
          target[2 * index] = hexDigit(byte >> 4)
          target[2 * index + 1] = hexDigit(byte & 15)
        }
      }
    }
    return text
  }

  /// The bytes that hexadecimal text stands for; either case, ASCII white space ignored.
  public static func decodingHexadecimal(
    _ text: borrowing SecretBytes
  ) throws(SecretMemoryError) -> SecretBytes {
    var decoded = try SecretBytes.zeroed(count: text.count / 2)
    let length: Int? = text.withUnsafeBytes { source in
      decoded.withUnsafeMutableBytes { target in
        var digits = 0
        for byte in source where !isWhiteSpace(byte) {
          guard let value = hexValue(byte), digits / 2 < target.count else { return nil }
          target[digits / 2] = target[digits / 2] << 4 | value
          digits += 1
        }
        return digits % 2 == 0 ? digits / 2 : nil
      }
    }
    guard let length else { throw .malformedText }
    return try decoded.prefix(length)
  }

  /// The bytes that base64 text stands for (RFC 4648 section 4, padded); ASCII white space ignored.
  public static func decodingBase64(
    _ text: borrowing SecretBytes
  ) throws(SecretMemoryError) -> SecretBytes {
    var decoded = try SecretBytes.zeroed(count: text.count / 4 * 3 + 3)
    let length: Int? = text.withUnsafeBytes { source in
      decoded.withUnsafeMutableBytes { target in
        var symbols = 0
        var padding = 0
        var bits: UInt32 = 0
        var written = 0
        for byte in source where !isWhiteSpace(byte) {
          if byte == UInt8(ascii: "=") {
            padding += 1
          } else {
            guard padding == 0, let value = base64Value(byte) else { return nil }
            bits = bits << 6 | value
          }
          symbols += 1
          guard symbols % 4 == 0 else { continue }
          guard padding <= 2 else { return nil }
          bits <<= 6 * UInt32(padding)
          for shift in [UInt32(16), 8, 0].prefix(3 - padding) {
            target[written] = UInt8(truncatingIfNeeded: bits >> shift)
            written += 1
          }
          bits = 0
        }
        return symbols % 4 == 0 ? written : nil
      }
    }
    guard let length else { throw .malformedText }
    return try decoded.prefix(length)
  }
}

private func hexDigit(_ value: UInt8) -> UInt8 {
  value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
}

private func hexValue(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
  default: nil
  }
}

private func base64Value(_ byte: UInt8) -> UInt32? {
  switch byte {
  case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A"))
  case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a")) + 26
  case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0")) + 52
  case UInt8(ascii: "+"): 62
  case UInt8(ascii: "/"): 63
  default: nil
  }
}

private func isWhiteSpace(_ byte: UInt8) -> Bool {
  byte == 0x20 || (0x09...0x0D).contains(byte)
}
