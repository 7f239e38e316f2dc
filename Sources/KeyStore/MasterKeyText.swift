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
/// within the file: `none`, or
///
///     protection: scrypt 17 8 1 (32 hexadecimal digits)
///     key: (122 hexadecimal digits)
///
/// with scrypt's parameters (the logarithm of N, r, p, the salt); the key is then an `Envelope` under the
/// key that scrypt makes of a passphrase, bound to the lines before it.
enum MasterKeyText {
  /// More than any version needs.
  static let maximumLength = 4096

  /// - Parameter passphrase: what protects the key within the text; nothing when nil.
  static func encode(_ key: MasterKey, under passphrase: Passphrase?) throws -> SecretBytes {
    let head = "coffer master key 1\nid: \(key.id)\nprotection: "
    guard let passphrase else {
      return try join(head + "none\n", try key.value.hexadecimal())
    }
    let scrypt = try Scrypt.standard()
    let wrapping = try scrypt.key(from: passphrase.bytes, count: AESGCM.keyLength)
    let lines = head + "\(scrypt.text)\n"
    var sealed = try Envelope.seal(key.value, under: wrapping, bindingTo: associatedData(lines))
    return try join(lines, try SecretBytes.taking(&sealed).hexadecimal())
  }

  private static func join(
    _ head: String, _ digits: borrowing SecretBytes
  ) throws(SecretMemoryError) -> SecretBytes {
    let start = Array((head + "key: ").utf8)
    var text = try SecretBytes.zeroed(count: start.count + digits.count + 1)
    text.withUnsafeMutableBytes { text in
      text.copyBytes(from: start)
      digits.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(rebasing: text[start.count...]).copyMemory(from: $0)
      }
      text[text.count - 1] = UInt8(ascii: "\n")
    }
    return text
  }

  /// - Parameters:
  ///   - passphrase: what a protected key needs. One that is not protected is refused then: whoever can
  ///     write to the file could put it there.
  ///   - source: where the text comes from, for the error.
  static func decode(
    _ text: borrowing SecretBytes, under passphrase: Passphrase?, from source: String
  ) throws -> MasterKey {
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
    guard let protection = value(of: "protection", plain(text, lines[2])) else {
      throw malformed("its third line does not start with 'protection: '")
    }
    let line = lines[3]
    let digits = try text.withUnsafeBytes { text -> SecretBytes? in
      let line = UnsafeRawBufferPointer(rebasing: text[line])
      let label = Array("key: ".utf8)
      guard line.starts(with: label) else { return nil }
      return try SecretBytes.copying(UnsafeRawBufferPointer(rebasing: line[label.count...]))
    }
    let scrypt = Scrypt(protection)
    guard protection == "none" || scrypt?.isReasonable == true else {
      throw malformed("its third line names a protection that is not known")
    }
    let length = scrypt == nil ? AESGCM.keyLength : Envelope.length(of: AESGCM.keyLength)
    guard let digits, digits.count == 2 * length,
      let content = try? SecretBytes.decodingHexadecimal(digits), content.count == length
    else {
      throw malformed("its fourth line is not 'key: ' and \(2 * length) hexadecimal digits")
    }
    let head = (0..<3).map { plain(text, lines[$0]) + "\n" }.joined()
    if let scrypt {
      let opened = try open(content, scrypt, under: passphrase, bindingTo: head, from: source)
      return MasterKey(id: id, value: opened)
    }
    guard passphrase == nil else {
      throw MasterKeyStoreError.unsafe(
        "\(source) is not under a passphrase, and the configuration names one: take the passphrase "
          + "out of the configuration, or put the master key under it (coffer master-key init)")
    }
    return MasterKey(id: id, value: content)
  }

  /// The key in its envelope under a passphrase.
  private static func open(
    _ envelope: borrowing SecretBytes, _ scrypt: Scrypt, under passphrase: Passphrase?,
    bindingTo head: String, from source: String
  ) throws -> SecretBytes {
    guard let passphrase else {
      throw MasterKeyStoreError.locked(
        "\(source) is under a passphrase: name it in the configuration ('passphrase_file')")
    }
    let wrapping = try scrypt.key(from: passphrase.bytes, count: AESGCM.keyLength)
    let sealed = envelope.withUnsafeBytes { Array($0) }
    guard
      let opened = try Envelope.open(sealed, under: wrapping, bindingTo: associatedData(head))
    else {
      throw MasterKeyStoreError.locked(
        "the passphrase does not open \(source): it is another one, or the file was changed")
    }
    return opened
  }

  private static func associatedData(_ head: String) -> AssociatedData {
    var data = AssociatedData(purpose: "coffer master key 1")
    data.append(head)
    return data
  }

  /// A line without secrets.
  private static func plain(_ text: borrowing SecretBytes, _ line: Range<Int>) -> String {
    text.withUnsafeBytes { String(decoding: $0[line], as: UTF8.self) }
  }

  private static func value(of name: String, _ line: String) -> Substring? {
    line.hasPrefix("\(name): ") ? line.dropFirst(name.count + 2) : nil
  }
}

extension Scrypt {
  fileprivate var text: String {
    let digits = salt.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    return "scrypt \(logCost) \(blockSize) \(parallelization) \(digits)"
  }

  /// Reads `scrypt 17 8 1 (salt)`.
  fileprivate init?(_ text: Substring) {
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 5, words[0] == "scrypt", let logCost = Int(words[1]),
      let blockSize = Int(words[2]), let parallelization = Int(words[3]),
      words[4].utf8.count == 2 * Self.saltLength
    else { return nil }
    var salt: [UInt8] = []
    var rest = words[4]
    while !rest.isEmpty {
      guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
      salt.append(byte)
      rest = rest.dropFirst(2)
    }
    self.init(
      logCost: logCost, blockSize: blockSize, parallelization: parallelization, salt: salt)
  }
}
