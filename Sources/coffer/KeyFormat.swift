import ArgumentParser
import SecretMemory
import VolumeAPI

/// How a key is written in a file.
enum KeyFormat: String, ExpressibleByArgument, CaseIterable {
  case raw, hex, base64
  /// The bytes within the first pair of boundaries, RFC 7468.
  case pem
  /// Whatever it looks like.
  case auto

  func decode(_ text: consuming SecretBytes) throws(VolumeError) -> SecretBytes {
    let format = self == .auto ? Self.guess(text) : self
    do {
      switch format {
      case .raw, .auto: return text
      case .hex: return try .decodingHexadecimal(text)
      case .base64: return try .decodingBase64(text)
      case .pem: return try .decodingBase64(try text.copying(try Self.body(ofPEM: text)))
      }
    } catch let error as VolumeError {
      throw error
    } catch {
      throw VolumeError(.invalidRequest, "cannot read the key as \(format.rawValue): \(error)")
    }
  }

  /// What a text looks like.
  ///
  /// PEM has its boundary. Hexadecimal has an even number of digits, 32 or more (128 bits), and base64
  /// groups of four, 24 characters or more, with nothing but line breaks beside them; everything else is
  /// raw. What could be both is hexadecimal. Random bytes look like either about once in 10^14 times.
  static func guess(_ text: borrowing SecretBytes) -> KeyFormat {
    text.withUnsafeBytes { text in
      if find("-----BEGIN ", in: text, from: 0) != nil { return .pem }
      let symbols = text.filter { !isLineBreak($0) }.count
      func consists(of isSymbol: (UInt8) -> Bool) -> Bool {
        text.allSatisfy { isSymbol($0) || isLineBreak($0) }
      }
      if symbols >= 32, symbols % 2 == 0, consists(of: isHexDigit) { return .hex }
      if symbols >= 24, symbols % 4 == 0, consists(of: isBase64) { return .base64 }
      return .raw
    }
  }

  /// Where the base64 text of the first PEM block is.
  private static func body(
    ofPEM text: borrowing SecretBytes
  ) throws(VolumeError) -> Range<Int> {
    let body = text.withUnsafeBytes { text -> Range<Int>? in
      guard let begin = find("-----BEGIN ", in: text, from: 0),
        let start = text[begin...].firstIndex(of: UInt8(ascii: "\n")),
        let end = find("-----END ", in: text, from: start)
      else { return nil }
      return start..<end
    }
    guard let body else {
      throw VolumeError(
        .invalidRequest,
        "cannot read the key as pem: there is no '-----BEGIN' line with an '-----END' line after it"
      )
    }
    return body
  }
}

extension SecretBytes {
  fileprivate borrowing func copying(
    _ range: Range<Int>
  ) throws(SecretMemoryError) -> SecretBytes {
    try withUnsafeBytes { bytes throws(SecretMemoryError) in
      try SecretBytes.copying(UnsafeRawBufferPointer(rebasing: bytes[range]))
    }
  }
}

private func isLineBreak(_ byte: UInt8) -> Bool {
  byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")
}

private func isHexDigit(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
    UInt8(ascii: "A")...UInt8(ascii: "F"):
    true
  default: false
  }
}

private func isBase64(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"),
    UInt8(ascii: "="):
    true
  default: false
  }
}

/// Where a text begins at the start of a line.
private func find(_ label: String, in text: UnsafeRawBufferPointer, from start: Int) -> Int? {
  let label = Array(label.utf8)
  var index = start
  while index + label.count <= text.count {
    if index == 0 || text[index - 1] == UInt8(ascii: "\n"),
      text[index..<index + label.count].elementsEqual(label)
    {
      return index
    }
    index += 1
  }
  return nil
}
