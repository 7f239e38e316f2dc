import CCrypto

/// What the start of an image holds, read without libcryptsetup: it reads past a damaged copy in
/// silence, and whoever owns the image should know.
///
/// LUKS2 On-Disk Format, section 2: the header is there twice, each copy a binary part of 4096 bytes and
/// a JSON area, under a checksum; all numbers are big-endian.
enum HeaderCopies {
  case none
  case luks1
  case luks2(primary: Copy?, secondary: Copy?)

  /// One intact copy.
  struct Copy {
    /// Grows with each update.
    var sequence: UInt64
    /// Of the binary part and the JSON area, in bytes.
    var length: UInt64
    /// The JSON area with its padding of zero bytes.
    var json: ArraySlice<UInt8>

    var document: HeaderDocument? { HeaderDocument(json: json.prefix { $0 != 0 }) }
  }

  /// Which copy is the worse, and how. Nil when both are as they should be.
  enum Fault {
    case damaged(String)
    case outdated(String)
  }

  /// Where the second copy may begin when the first does not say.
  private static let secondaryOffsets: [UInt64] = (0...8).map { 0x4000 << $0 }
  private static let binaryLength = 4096

  static func read(_ file: borrowing BackingFile) throws(LUKSError) -> HeaderCopies {
    let start = try file.read(count: binaryLength, at: 0)
    let hasPrimaryMagic = start.starts(with: magic)
    if hasPrimaryMagic && bigEndian(start, 6, 2) == 1 { return .luks1 }

    if let primary = try copy(in: file, at: 0, secondary: false) {
      let secondary = try copy(in: file, at: primary.length, secondary: true)
      return .luks2(primary: primary, secondary: secondary)
    }
    var hasSecondaryMagic = false
    for offset in secondaryOffsets {
      if let secondary = try copy(in: file, at: offset, secondary: true) {
        return .luks2(primary: nil, secondary: secondary)
      }
      if try file.read(count: 6, at: offset) == secondaryMagic { hasSecondaryMagic = true }
    }
    return hasPrimaryMagic || hasSecondaryMagic ? .luks2(primary: nil, secondary: nil) : .none
  }

  var fault: Fault? {
    switch self {
    case .none, .luks1, .luks2(nil, nil): nil
    case .luks2(nil, _?): .damaged("first")
    case .luks2(_?, nil): .damaged("second")
    case .luks2(let primary?, let secondary?):
      if primary.sequence > secondary.sequence {
        .outdated("second")
      } else if primary.sequence < secondary.sequence {
        .outdated("first")
      } else {
        nil
      }
    }
  }

  /// The copy that libcryptsetup goes by.
  var best: Copy? {
    guard case .luks2(let primary, let secondary) = self else { return nil }
    guard let primary, let secondary else { return primary ?? secondary }
    return primary.sequence >= secondary.sequence ? primary : secondary
  }

  private static let magic: [UInt8] = Array("LUKS".utf8) + [0xBA, 0xBE]
  private static let secondaryMagic: [UInt8] = Array("SKUL".utf8) + [0xBA, 0xBE]

  private static func copy(
    in file: borrowing BackingFile, at offset: UInt64, secondary: Bool
  ) throws(LUKSError) -> Copy? {
    var bytes = try file.read(count: binaryLength, at: offset)
    guard bytes.count == binaryLength, bytes.starts(with: secondary ? secondaryMagic : magic),
      bigEndian(bytes, 6, 2) == 2, bigEndian(bytes, 256, 8) == offset
    else { return nil }
    let length = bigEndian(bytes, 8, 8)
    guard (0x4000...0x40_0000).contains(length), !secondary || offset == length else { return nil }
    bytes += try file.read(count: Int(length) - binaryLength, at: offset + UInt64(binaryLength))
    guard bytes.count == Int(length), checksumHolds(&bytes) else { return nil }
    return Copy(
      sequence: bigEndian(bytes, 16, 8), length: length, json: bytes.dropFirst(binaryLength))
  }

  /// The checksum covers the whole copy with its own 64 bytes zeroed, which they are afterwards.
  private static func checksumHolds(_ bytes: inout [UInt8]) -> Bool {
    let name = bytes[72..<104].prefix { $0 != 0 } + [0]
    guard
      let algorithm = name.withUnsafeBytes({ name in
        EVP_get_digestbyname(name.baseAddress!.assumingMemoryBound(to: CChar.self))
      })
    else { return false }
    let stored = Array(bytes[448..<512])
    bytes.replaceSubrange(448..<512, with: repeatElement(0, count: 64))
    var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var length: UInt32 = 0
    guard EVP_Digest(bytes, bytes.count, &digest, &length, algorithm, nil) == 1 else {
      return false
    }
    return stored.starts(with: digest.prefix(Int(length)))
  }

  private static func bigEndian(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
    bytes.dropFirst(offset).prefix(count).reduce(0) { $0 << 8 | UInt64($1) }
  }
}
