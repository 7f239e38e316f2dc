/// What a wrapped secret is bound to, as AES-GCM's associated data.
///
/// The encoding is canonical: no two lists of fields give the same bytes. It starts with a purpose and
/// its version, then each field as one octet (0 absent, 1 present) and, when present, its length in
/// octets (64 bits, little-endian) and its octets. A change of the fields needs a new version.
struct AssociatedData {
  private(set) var bytes: [UInt8] = []

  init(purpose: StaticString) {
    append(purpose.description)
  }

  mutating func append(_ text: String?) {
    append(text.map { Array($0.utf8) })
  }

  mutating func append(_ number: Int64?) {
    append(number.map { littleEndian($0) })
  }

  mutating func append(_ flag: Bool) {
    append([flag ? 1 : 0])
  }

  mutating func append(_ field: [UInt8]?) {
    guard let field else {
      bytes.append(0)
      return
    }
    bytes.append(1)
    bytes += littleEndian(Int64(field.count))
    bytes += field
  }

  private func littleEndian(_ number: Int64) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
  }
}
