/// Percent-encoding, RFC 3986 section 2.1.
enum PercentEncoding {
  /// Nil when a `%` is not followed by two digits or the result is not UTF-8.
  static func decode(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String? {
    var bytes: [UInt8] = []
    var rest = text.utf8.makeIterator()
    while let byte = rest.next() {
      switch byte {
      case UInt8(ascii: "%"):
        guard let high = rest.next().flatMap(digit), let low = rest.next().flatMap(digit) else {
          return nil
        }
        bytes.append(high << 4 | low)
      case UInt8(ascii: "+") where plusIsSpace:
        bytes.append(UInt8(ascii: " "))
      default:
        bytes.append(byte)
      }
    }
    return String(validating: bytes, as: UTF8.self)
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    Character(Unicode.Scalar(byte)).hexDigitValue.map(UInt8.init)
  }
}

/// The query string of a request, as HTML forms and Python's `urlencode` write it.
struct QueryItems {
  private let items: [(name: String, value: String)]
  /// The items as they came, without those that say which page it is.
  let withoutPaging: String

  init(_ query: String?) throws(ServiceError) {
    let parts = (query ?? "").split(separator: "&")
    var items: [(name: String, value: String)] = []
    var others: [Substring] = []
    for part in parts {
      let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = PercentEncoding.decode(halves[0], plusIsSpace: true),
        let value = PercentEncoding.decode(halves.count > 1 ? halves[1] : "", plusIsSpace: true)
      else {
        throw ServiceError(.badRequest, "the query string is not valid percent-encoded UTF-8")
      }
      items.append((name, value))
      if name != "limit", name != "offset" { others.append(part) }
    }
    self.items = items
    withoutPaging = others.joined(separator: "&")
  }

  /// The first value of that name; nil when there is none or it is empty.
  subscript(name: String) -> String? {
    items.first { $0.name == name }.flatMap { $0.value.isEmpty ? nil : $0.value }
  }
}
