import FoundationEssentials

/// The JSON area of a LUKS2 header, as far as it is needed here (LUKS2 On-Disk Format, section 3).
/// Numbers of 64 bits are strings of decimal digits there.
struct HeaderDocument: Decodable {
  var segments: [String: SegmentDocument]
  var digests: [String: DigestDocument]
  var tokens: [String: TokenDocument]
  var config: ConfigDocument

  init?(json: some Sequence<UInt8>) {
    guard let document = try? JSONDecoder().decode(HeaderDocument.self, from: Data(json)) else {
      return nil
    }
    self = document
  }

  /// Whether a reencryption has rewritten all data but not yet tidied the header up: the only segment in
  /// use is under the key of the segment that is to be.
  var isReencryptedButNotFinished: Bool {
    let inUse = segments.filter { !($0.value.flags ?? []).contains { $0.hasPrefix("backup-") } }
    guard inUse.count == 1, let now = inUse.keys.first,
      let final = segments.first(where: { ($0.value.flags ?? []).contains("backup-final") })?.key
    else { return false }
    return digests.values.contains { $0.segments.contains(now) && $0.segments.contains(final) }
  }

  /// The lowest numbered valid token of Coffer's, and its number.
  var managedToken: (number: Int32, token: ManagedToken)? {
    tokens.compactMap { number, document in
      guard let number = Int32(number), let token = ManagedToken(document) else { return nil }
      return (number, token)
    }
    .min { $0.0 < $1.0 }
  }
}

struct SegmentDocument: Decodable {
  var type: String
  var offset: String
  /// In bytes, or `dynamic`: to the end of the device.
  var size: String
  var encryption: String?
  var sectorSize: Int?
  var ivTweak: String?
  /// Only whether it is there matters.
  var integrity: IntegrityDocument?
  var flags: [String]?

  enum CodingKeys: String, CodingKey {
    case type, offset, size, encryption, integrity, flags
    case sectorSize = "sector_size"
    case ivTweak = "iv_tweak"
  }
}

struct DigestDocument: Decodable {
  /// The segments that are under the key with this digest.
  var segments: [String]
}

struct IntegrityDocument: Decodable {
  var type: String
}

/// A token of any type; what the other members of a foreign one hold is its own affair.
struct TokenDocument: Codable {
  var type: String
  var keyslots: [String]
  var keyID: String?
  var volumeID: String?

  enum CodingKeys: String, CodingKey {
    case type, keyslots
    case keyID = "key_id"
    case volumeID = "volume_id"
  }

  init(type: String, keyslots: [String], keyID: String, volumeID: String) {
    self.type = type
    self.keyslots = keyslots
    self.keyID = keyID
    self.volumeID = volumeID
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    type = try container.decode(String.self, forKey: .type)
    keyslots = try container.decode([String].self, forKey: .keyslots)
    keyID = try? container.decode(String.self, forKey: .keyID)
    volumeID = try? container.decode(String.self, forKey: .volumeID)
  }
}

struct ConfigDocument: Decodable {
  struct Requirements: Decodable {
    var mandatory: [String]?
  }
  var requirements: Requirements?
}
