import CCryptsetup
import Glibc

/// What a header that libcryptsetup has loaded says, once it is known to be of a kind that is served.
@LUKSActor
struct LoadedHeader {
  let geometry: LUKSGeometry
  var token: ManagedToken?
  var tokenNumber: Int32?
  var notices: [String] = []

  /// Throws `unsupported` or `damagedHeader`.
  init(_ device: OpaquePointer, _ file: borrowing BackingFile) throws(LUKSError) {
    if String(cString: crypt_get_type(device)) == CRYPT_LUKS1 {
      geometry = Self.geometryOfLUKS1(device)
    } else {
      let document = try Self.document(device, file)
      try Self.checkState(document, device, file)
      geometry = try Self.geometry(document, device, file)
      (tokenNumber, token) = document.managedToken.map { ($0.number, $0.token) } ?? (nil, nil)
      if token == nil, document.tokens.values.contains(where: { $0.type == ManagedToken.type }) {
        notices.append(
          "the header of \(file.path) has a token of type '\(ManagedToken.type)' without a key ID and "
            + "a volume ID; it is ignored")
      }
    }
    try checkCipher(device, file)
    try checkPlacement(device, file)
  }

  /// The numbers of the keyslots that give the volume key, ascending. Other keyslots may be in use too: a
  /// LUKS2 keyslot can hold a key of no segment.
  static func boundKeyslots(_ device: OpaquePointer) -> [Int] {
    (0..<crypt_keyslot_max(crypt_get_type(device))).filter {
      [CRYPT_SLOT_ACTIVE, CRYPT_SLOT_ACTIVE_LAST].contains(crypt_keyslot_status(device, $0))
    }
    .map(Int.init)
  }

  /// The JSON area as libcryptsetup holds it.
  static func document(
    _ device: OpaquePointer, _ file: borrowing BackingFile
  ) throws(LUKSError) -> HeaderDocument {
    var json: UnsafePointer<CChar>?
    try Library.call("cannot read the LUKS header of", file) { crypt_dump_json(device, &json, 0) }
    guard let json, let document = HeaderDocument(json: String(cString: json).utf8) else {
      throw damaged(file, "its metadata makes no sense")
    }
    return document
  }

  private static func geometryOfLUKS1(_ device: OpaquePointer) -> LUKSGeometry {
    LUKSGeometry(
      version: 1, uuid: String(cString: crypt_get_uuid(device)).lowercased(),
      cipher: "\(String(cString: crypt_get_cipher(device)))-"
        + String(cString: crypt_get_cipher_mode(device)),
      keySize: Int(crypt_get_volume_key_size(device)), sectorSize: 512,
      dataOffset: crypt_get_data_offset(device) * 512, size: nil, ivTweak: 0)
  }

  /// An unfinished reencryption makes libcryptsetup hand out the new key while data is still under the
  /// old one; a requirement that is not understood may mean anything.
  private static func checkState(
    _ document: HeaderDocument, _ device: OpaquePointer, _ file: borrowing BackingFile
  ) throws(LUKSError) {
    let requirements = document.config.requirements?.mandatory ?? []
    let unknown = requirements.filter { !$0.contains("reencrypt") }
    guard unknown.isEmpty else {
      throw LUKSError(
        .unsupported(.requirements),
        "\(file.path) requires what is not known here: \(unknown.joined(separator: ", "))")
    }
    guard requirements.isEmpty, crypt_reencrypt_status(device, nil) == CRYPT_REENCRYPT_NONE else {
      throw LUKSError(
        .unsupported(.reencryption),
        "\(file.path) is being re-encrypted in place, or that was interrupted: its data is under two "
          + "keys",
        advice: document.isReencryptedButNotFinished
          ? "Copy the image before anything else, and do not resume the reencryption with cryptsetup "
            + "2.6: in the state that it is in, that would destroy the data."
          : "Finish it with: cryptsetup reencrypt --resume-only \(file.path)")
    }
  }

  private static func geometry(
    _ document: HeaderDocument, _ device: OpaquePointer, _ file: borrowing BackingFile
  ) throws(LUKSError) -> LUKSGeometry {
    guard document.segments.count == 1, let segment = document.segments.values.first,
      segment.type == "crypt"
    else {
      throw LUKSError(
        .unsupported(.segments),
        "\(file.path) has \(document.segments.count) data segments, of the types "
          + document.segments.values.map(\.type).sorted().joined(separator: ", ")
          + "; one of type crypt is supported")
    }
    if let integrity = segment.integrity {
      throw LUKSError(
        .unsupported(.integrity),
        "\(file.path) uses authenticated encryption (\(integrity.type)), which is not supported")
    }
    let size = UInt64(segment.size)
    guard let dataOffset = UInt64(segment.offset), size != nil || segment.size == "dynamic",
      let ivTweak = UInt64(segment.ivTweak ?? ""), let sectorSize = segment.sectorSize,
      let cipher = segment.encryption
    else { throw damaged(file, "its data segment makes no sense") }
    return LUKSGeometry(
      version: 2, uuid: String(cString: crypt_get_uuid(device)).lowercased(), cipher: cipher,
      keySize: Int(crypt_get_volume_key_size(device)), sectorSize: sectorSize,
      dataOffset: dataOffset, size: size, ivTweak: ivTweak)
  }

  private func checkCipher(
    _ device: OpaquePointer, _ file: borrowing BackingFile
  ) throws(LUKSError) {
    guard geometry.cipher == "aes-xts-plain64" else {
      throw LUKSError(
        .unsupported(.cipher),
        "\(file.path) is encrypted with \(geometry.cipher); aes-xts-plain64 is supported")
    }
    guard !Self.boundKeyslots(device).isEmpty else {
      throw LUKSError(
        .noKeyslots, "\(file.path) has no keyslot left: nothing can open it any more")
    }
    guard geometry.keySize == 32 || geometry.keySize == 64 else {
      throw LUKSError(
        .unsupported(.keySize),
        "\(file.path) has a volume key of \(geometry.keySize * 8) bits; "
          + "256 and 512 are supported")
    }
    guard [512, 1024, 2048, 4096].contains(geometry.sectorSize) else {
      throw LUKSError(
        .unsupported(.sectorSize),
        "\(file.path) has sectors of \(geometry.sectorSize) bytes; "
          + "512, 1024, 2048 and 4096 are supported")
    }
  }

  /// Data that starts before the header ends belongs to a header that is kept apart from it; serving
  /// such an image would overwrite the header.
  private func checkPlacement(
    _ device: OpaquePointer, _ file: borrowing BackingFile
  ) throws(LUKSError) {
    var headerEnd: UInt64 = 0
    var metadata: UInt64 = 0
    var keyslots: UInt64 = 0
    if geometry.version == 2, crypt_get_metadata_size(device, &metadata, &keyslots) == 0 {
      headerEnd = 2 * metadata + keyslots
    }
    for keyslot in 0..<crypt_keyslot_max(crypt_get_type(device)) {
      var offset: UInt64 = 0
      var length: UInt64 = 0
      guard crypt_keyslot_area(device, keyslot, &offset, &length) == 0 else { continue }
      headerEnd = max(headerEnd, offset &+ length)
    }
    guard geometry.dataOffset > 0, geometry.dataOffset >= headerEnd else {
      throw LUKSError(
        .unsupported(.detachedHeader),
        "the header in \(file.path) is for data kept elsewhere; a header in front of its data is "
          + "supported")
    }
  }

  /// Throws `truncated` unless all data lies within a file of `size` bytes.
  func checkLength(size: UInt64, _ file: borrowing BackingFile) throws(LUKSError) {
    let sector = UInt64(geometry.sectorSize)
    let (end, overflow) = geometry.dataOffset.addingReportingOverflow(geometry.size ?? sector)
    if overflow || (geometry.size ?? 0) % sector != 0 {
      throw Self.damaged(file, "the length of its data makes no sense")
    }
    var required = end
    if geometry.size == nil, size > end {
      required = size + (sector - (size - geometry.dataOffset) % sector) % sector
    }
    if size < required { throw Self.truncated(file, by: required - size) }
  }

  static func truncated(_ file: borrowing BackingFile, by missing: UInt64) -> LUKSError {
    LUKSError(
      .truncated(missing: missing),
      "\(file.path) is truncated: the last \(missing) bytes are missing",
      advice: "Restore the file from a copy that is whole.")
  }

  static func damaged(_ file: borrowing BackingFile, _ reason: String) -> LUKSError {
    LUKSError(
      .damagedHeader, "the LUKS header of \(file.path) is damaged: \(reason)",
      advice: "Restore the header from a backup (cryptsetup luksHeaderRestore).")
  }
}
