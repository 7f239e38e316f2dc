import Glibc
import KeyManager
import SecretMemory

/// A master key as text:
///
///     coffer master key 1
///     id: 5d0a7c0e-5a4b-4f5e-9d43-0f3c6a6f2f10
///     protection: none
///     key: (64 hexadecimal digits)
///
/// The number in the first line is the format's version. `protection` says how the key is protected
/// within the file; version 1 knows `none`.
enum MasterKeyText {
  /// More than any version needs.
  static let maximumLength = 4096

  static func encode(_ key: MasterKey) throws -> SecretBytes {
    let head = Array("coffer master key 1\nid: \(key.id)\nprotection: none\nkey: ".utf8)
    let digits = try key.value.hexadecimal()
    var text = try SecretBytes.zeroed(count: head.count + digits.count + 1)
    text.withUnsafeMutableBytes { text in
      text.copyBytes(from: head)
      digits.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(rebasing: text[head.count...]).copyMemory(from: $0)
      }
      text[text.count - 1] = UInt8(ascii: "\n")
    }
    return text
  }

  /// - Parameter source: where the text comes from, for the error.
  static func decode(_ text: borrowing SecretBytes, from source: String) throws -> MasterKey {
    func malformed(_ reason: String) -> MasterKeyStoreError {
      .malformed(
        "\(source) is no master key file that can be used: \(reason); restore it from a backup")
    }
    let lines = text.withUnsafeBytes { text in
      text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(\.indices)
    }
    guard plain(text, lines[0]) == "coffer master key 1" else {
      throw malformed("its first line is not 'coffer master key 1'")
    }
    guard lines.count == 5, lines[4].isEmpty else {
      throw malformed("it does not have four whole lines")
    }
    guard let id = value(of: "id", plain(text, lines[1])).flatMap({ MasterKeyID($0) }) else {
      throw malformed("its second line is not 'id: ' and a version 4 UUID")
    }
    guard value(of: "protection", plain(text, lines[2])) == "none" else {
      throw malformed("its third line is not 'protection: none'")
    }
    let label = Array("key: ".utf8)
    let digits = try text.withUnsafeBytes { text -> SecretBytes? in
      let line = UnsafeRawBufferPointer(rebasing: text[lines[3]])
      guard line.starts(with: label), line.count == label.count + 2 * AESGCM.keyLength else {
        return nil
      }
      return try SecretBytes.copying(UnsafeRawBufferPointer(rebasing: line[label.count...]))
    }
    guard let digits, let key = try? SecretBytes.decodingHexadecimal(digits),
      key.count == AESGCM.keyLength
    else {
      throw malformed("its fourth line is not 'key: ' and 64 hexadecimal digits")
    }
    return MasterKey(id: id, value: key)
  }

  /// A line without secrets.
  private static func plain(_ text: borrowing SecretBytes, _ line: Range<Int>) -> String {
    text.withUnsafeBytes { String(decoding: $0[line], as: UTF8.self) }
  }

  private static func value(of name: String, _ line: String) -> Substring? {
    line.hasPrefix("\(name): ") ? line.dropFirst(name.count + 2) : nil
  }
}
