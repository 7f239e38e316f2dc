/// Where the encrypted data of an image lies and how its sectors are numbered.
public struct BlockGeometry: Sendable, Equatable {
  /// Where the data starts in the image, in bytes; a multiple of 512.
  public let dataOffset: UInt64
  /// The size of the decrypted image in bytes; a multiple of the sector size.
  public let size: UInt64
  /// The unit of encryption in bytes: 512, 1024, 2048 or 4096.
  public let sectorSize: Int
  /// The tweak of the first sector (`iv_tweak` of a LUKS2 segment).
  public let ivTweak: UInt64

  /// Nil where a value is outside of its range, or the data would end within a page of 2^63 bytes, so
  /// that no offset rounded up to a sector overflows.
  public init?(dataOffset: UInt64, size: UInt64, sectorSize: Int, ivTweak: UInt64 = 0) {
    guard [512, 1024, 2048, 4096].contains(sectorSize), dataOffset % 512 == 0,
      size % UInt64(sectorSize) == 0
    else { return nil }
    let (end, overflow) = dataOffset.addingReportingOverflow(size)
    guard !overflow, end <= UInt64(Int64.max) - 4096 else { return nil }
    self.dataOffset = dataOffset
    self.size = size
    self.sectorSize = sectorSize
    self.ivTweak = ivTweak
  }

  /// The tweak of the sector that starts at `offset` of the decrypted image.
  ///
  /// Tweaks count units of 512 bytes whatever the sector size: `iv_tweak + n * (sector_size / 512)`
  /// for sector `n`. As in dm-crypt the sum wraps at 2^64.
  @inline(__always)
  func tweak(at offset: UInt64) -> UInt64 {
    ivTweak &+ offset / 512
  }
}
