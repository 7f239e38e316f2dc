import KeyManager
import LUKS
import VolumeAPI

/// What a request may say.
enum VolumeRules {
  /// 1 to 255 characters, no `/`, no control characters, and not like an ID, which would leave open
  /// what is meant.
  static func check(name: String) throws(VolumeError) {
    let fault: String? =
      if name.isEmpty || name.count > 255 {
        "it has \(name.count) characters, and may have 1 to 255"
      } else if name.contains("/") {
        "it has a '/'"
      } else if name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
        "it has a control character"
      } else if VolumeID(name.lowercased()) != nil {
        "it looks like a volume's ID"
      } else {
        nil
      }
    if let fault {
      throw VolumeError(
        .invalidRequest, "a volume cannot be called '\(name)': \(fault)",
        advice: "Choose another name.")
    }
  }

  static func check(path: String) throws(VolumeError) {
    guard path.hasPrefix("/"), !path.hasSuffix("/"), !path.utf8.contains(0), path.utf8.count < 4096
    else {
      throw VolumeError(
        .invalidRequest, "the image's path '\(path)' is not the absolute path of a file")
    }
  }

  /// 4096 unless asked for otherwise.
  static func sectorSize(_ asked: Int?) throws(VolumeError) -> Int {
    let size = asked ?? 4096
    guard [512, 4096].contains(size) else {
      throw VolumeError(
        .invalidRequest, "a sector size of \(size) bytes is not offered", advice: "Use 512 or 4096."
      )
    }
    return size
  }

  static func check(size: UInt64, sectorSize: Int) throws(VolumeError) {
    let sector = UInt64(sectorSize)
    let largest = (UInt64(Int64.max) - LUKSImage.dataOffset) / sector * sector
    if size > largest {
      throw VolumeError(
        .invalidRequest, "a volume of \(size) bytes is too large: the largest has \(largest)")
    }
    guard size > 0, size % sector == 0 else {
      let below = size / sector * sector
      let nearest = below == 0 ? "\(sector)" : "\(below) or \(below + sector)"
      throw VolumeError(
        .invalidRequest,
        "a volume's size is a positive multiple of its sector size, \(sector) bytes; \(size) is none",
        advice:
          "Use \(nearest)\(sector > 512 && size > 0 && size % 512 == 0 ? ", or a sector size of 512" : "")."
      )
    }
  }

  /// Why a key cannot be a volume's; nil when it can, as far as its attributes tell.
  static func fault(of record: KeyRecord) -> String? {
    if !record.hasValue { return "it has no value yet" }
    let attributes = record.attributes
    guard attributes.type == .symmetric || attributes.type == .opaque else {
      return "its type is \(attributes.type.rawValue); symmetric and opaque keys can"
    }
    if attributes.type == .symmetric, let algorithm = attributes.algorithm,
      algorithm.lowercased() != "aes"
    {
      return "its algorithm is \(algorithm); aes can"
    }
    if let expiration = attributes.expiration {
      return "it expires at \(expiration), and the volume could not be opened afterwards"
    }
    return nil
  }

  /// - Parameter length: in bytes.
  static func fault(ofKeyLength length: Int) -> String? {
    // Beyond 256 bytes the passphrase, in hexadecimal, is longer than what can be typed into cryptsetup.
    (16...256).contains(length)
      ? nil : "it has \(length * 8) bits, and a volume's key has 128 to 2048"
  }
}
