/// Where an image's data lies and how it is encrypted: all that is needed to serve it besides the volume
/// key.
public struct LUKSGeometry: Sendable, Equatable {
  /// 1 or 2.
  public let version: Int
  /// The header's UUID as text, in lowercase.
  public let uuid: String
  /// In dm-crypt's notation; always `aes-xts-plain64`.
  public let cipher: String
  /// Of the volume key, in bytes: 32 (AES-128-XTS) or 64 (AES-256-XTS).
  public let keySize: Int
  /// Of the encryption, in bytes: 512, 1024, 2048 or 4096.
  public let sectorSize: Int
  /// Where the data starts, in bytes.
  public let dataOffset: UInt64
  /// The length that the header declares for the data, in bytes, a multiple of `sectorSize`; nil when
  /// the data goes to the end of the image, as it does in LUKS1 and in most LUKS2 images.
  public let size: UInt64?
  /// The tweak of the first sector, in units of 512 bytes (dm-crypt's `iv_offset`). Sums with it wrap
  /// around at 64 bits, as in the kernel.
  public let ivTweak: UInt64

  /// Takes the values as they are.
  public init(
    version: Int, uuid: String, cipher: String, keySize: Int, sectorSize: Int, dataOffset: UInt64,
    size: UInt64?, ivTweak: UInt64
  ) {
    self.version = version
    self.uuid = uuid
    self.cipher = cipher
    self.keySize = keySize
    self.sectorSize = sectorSize
    self.dataOffset = dataOffset
    self.size = size
    self.ivTweak = ivTweak
  }
}
