public import BlockImage
import Glibc
import HostSystem
import SecretMemory
import SectorCipher

/// An image file under a well-known key, in a directory of its own, which goes with it.
public final class TestImage: Sendable {
  /// The key of every test image: 0, 1, 2, … 63.
  public static var keyBytes: [UInt8] { (0..<64).map { UInt8($0) } }

  public let directory: String
  public let geometry: BlockGeometry
  public var path: String { directory + "/image" }

  /// A sparse image in a new directory under `parent`.
  public init(
    size: UInt64, sectorSize: Int = 4096, dataOffset: UInt64 = 33 * 512, ivTweak: UInt64 = 0,
    in parent: String = "/tmp"
  ) throws {
    geometry = BlockGeometry(
      dataOffset: dataOffset, size: size, sectorSize: sectorSize, ivTweak: ivTweak)!
    var template = (parent + "/coffer-test-XXXXXX").utf8CString
    directory = template.withUnsafeMutableBufferPointer {
      String(cString: mkdtemp($0.baseAddress!))
    }
    try truncate(to: geometry.dataOffset + size)
  }

  deinit {
    for name in ["image", "model"] { unlink("\(directory)/\(name)") }
    rmdir(directory)
  }

  /// Makes the file this long.
  public func truncate(to length: UInt64) throws {
    let file = try Descriptor.open(path, O_RDWR | O_CREAT)
    let number = file.rawValue
    _ = try retrying("ftruncate", path) { ftruncate(number, off_t(length)) }
  }

  public func open(
    readOnly: Bool = false, backing: BackingOptions = BackingOptions()
  ) throws -> BlockImage {
    var bytes = Self.keyBytes
    let key = try SecretBytes.taking(&bytes)
    return try BlockImage.open(
      descriptor: try .open(path, readOnly ? O_RDONLY : O_RDWR), geometry: geometry,
      cipher: try SectorCipher(key: key, sectorSize: geometry.sectorSize), readOnly: readOnly,
      backing)
  }

  /// Whether the image, decrypted by another implementation, holds `expected`: nil, or what differs.
  ///
  /// The other implementation is Python's `cryptography`, one sector at a time, the tweak as in cryptsetup's
  /// description of `plain64`: the sector's number in units of 512 bytes, little-endian.
  public func differenceWhenDecryptedIndependently(from expected: [UInt8]) throws -> String? {
    let model = directory + "/model"
    let file = try Descriptor.open(model, O_WRONLY | O_CREAT | O_TRUNC)
    try expected.withUnsafeBytes { try file.writeAll($0) }
    let script = """
      import sys
      from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
      image, model = open(sys.argv[1], 'rb'), open(sys.argv[2], 'rb')
      offset, size, sector, tweak = map(int, sys.argv[3:7])
      key = bytes(range(64))
      image.seek(offset)
      for n in range(size // sector):
          t = (tweak + n * (sector // 512)) % 2**64
          d = Cipher(algorithms.AES(key), modes.XTS(t.to_bytes(16, 'little'))).decryptor()
          if d.update(image.read(sector)) != model.read(sector):
              sys.exit(f'sector {n} differs')
      """
    let result = try Command.run(
      "/usr/bin/python3",
      [
        "-c", script, path, model, "\(geometry.dataOffset)", "\(geometry.size)",
        "\(geometry.sectorSize)", "\(geometry.ivTweak)",
      ])
    return result.status == 0 ? nil : result.output
  }
}
