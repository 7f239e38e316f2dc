/// Where the master key is and how often it is renewed.
struct MasterKeyConfiguration: Decodable, Sendable, Equatable {
  /// The absolute path of the file; in the directory of the keys when nil.
  var file: String?
  /// The systemd credential that is the master key itself, systemd.exec(5).
  var credential: String?
  /// The file that holds the passphrase under which the master key's file is.
  var passphraseFile: String?
  /// The systemd credential that holds that passphrase.
  var passphraseCredential: String?
  /// How long a master key is in force; it is renewed by command alone when nil.
  var renewalInterval: Duration?

  init() {}

  init(from decoder: any Decoder) throws {
    let container = try decoder.strictContainer([
      "file", "credential", "passphrase_file", "passphrase_credential", "renewal_interval",
    ])
    file = try container.path("file")
    passphraseFile = try container.path("passphrase_file")
    credential = try container.credential("credential")
    passphraseCredential = try container.credential("passphrase_credential")
    if let text = try container.decodeIfPresent(String.self, forKey: "renewal_interval") {
      guard let interval = Self.interval(text) else {
        throw container.failure(
          "renewal_interval", "'\(text)' is no time like 12h or 30d, from 1m to 3650d")
      }
      renewalInterval = interval
    }
    if credential != nil {
      guard file == nil, passphraseFile == nil, passphraseCredential == nil else {
        throw container.failure("credential", "it stands for itself: no file, no passphrase")
      }
      guard renewalInterval == nil else {
        throw container.failure(
          "renewal_interval", "a credential cannot be written: renew the master key by hand")
      }
    }
    guard passphraseFile == nil || passphraseCredential == nil else {
      throw container.failure("passphrase_credential", "there is a passphrase_file too")
    }
  }

  /// A whole number with a unit: m, h or d.
  private static func interval(_ text: String) -> Duration? {
    let units: [Character: Int] = ["m": 60, "h": 3600, "d": 86_400]
    guard let unit = text.last.flatMap({ units[$0] }), text.first?.isNumber == true,
      let count = Int(text.dropLast()), (1...3650 * 86_400 / unit).contains(count)
    else { return nil }
    return .seconds(count * unit)
  }
}

extension KeyedDecodingContainer<MemberName> {
  fileprivate func path(_ name: MemberName) throws -> String? {
    guard let path = try decodeIfPresent(String.self, forKey: name) else { return nil }
    guard path.hasPrefix("/"), !path.utf8.contains(0) else {
      throw failure(name, "'\(path)' is no absolute path")
    }
    return path
  }

  fileprivate func credential(_ name: MemberName) throws -> String? {
    guard let text = try decodeIfPresent(String.self, forKey: name) else { return nil }
    guard !text.isEmpty, text != ".", text != "..", !text.utf8.contains(0), !text.contains("/")
    else { throw failure(name, "'\(text)' is no name of a credential") }
    return text
  }

  fileprivate func failure(_ name: MemberName, _ reason: String) -> DecodingError {
    DecodingError.dataCorruptedError(forKey: name, in: self, debugDescription: reason)
  }
}
