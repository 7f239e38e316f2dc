import CCryptsetup
import Glibc
public import SecretMemory

extension LUKSImage {
  /// Where the data of an image made here starts, in bytes.
  public nonisolated static let dataOffset: UInt64 = 16 << 20

  /// Makes a LUKS2 image: `aes-xts-plain64`, a fresh random volume key, one managed keyslot, a token that
  /// names its key.
  ///
  /// What the file or device held is lost (on a device its old sectors stay until they are overwritten), and when this throws what it holds is undefined: the caller
  /// has made sure that it may be overwritten, and removes it after a failure.
  ///
  /// - Parameters:
  ///   - path: an existing file, which becomes `dataOffset + size` bytes long, sparse after the header;
  ///     or a block device.
  ///   - uuid: of the header; a random one by default.
  ///   - keySize: of the volume key, in bytes: 64 or 32.
  ///   - sectorSize: in bytes: 512, 1024, 2048 or 4096.
  ///   - size: of the decrypted image, in bytes, a multiple of `sectorSize`. On a block device the data
  ///     goes to the end of the device, as stock cryptsetup has it: the size may be nil, and is at least
  ///     what is given.
  ///   - managedPassphrase: `ManagedPassphrase.of(key:)`.
  ///   - keyID: of that key, for the token.
  ///   - volumeID: for the token.
  /// - Returns: the image, open for writing.
  public static func format(
    path: String, uuid: String? = nil, keySize: Int = 64, sectorSize: Int = 4096, size: UInt64?,
    managedPassphrase: borrowing SecretBytes, keyID: String, volumeID: String
  ) throws(LUKSError) -> LUKSImage {
    guard [32, 64].contains(keySize), [512, 1024, 2048, 4096].contains(sectorSize) else {
      throw LUKSError(
        .invalidRequest,
        "cannot make an image with a volume key of \(keySize * 8) bits and sectors of "
          + "\(sectorSize) bytes")
    }
    do {
      let file = try BackingFile.open(path, readOnly: false)
      try prepare(file, size: size, sectorSize: sectorSize)
      try writeHeader(
        file, uuid: uuid, keySize: keySize, sectorSize: sectorSize, managedPassphrase,
        ManagedToken(keyslots: [0], keyID: keyID, volumeID: volumeID))
      try file.synchronize()
    }
    return try open(path: path, readOnly: false)
  }

  private static func prepare(
    _ file: borrowing BackingFile, size: UInt64?, sectorSize: Int
  ) throws(LUKSError) {
    let room = file.isBlockDevice ? try file.size() : UInt64(Int64.max)
    let available = room > dataOffset ? room - dataOffset : 0
    guard let size = size ?? (file.isBlockDevice ? available : nil) else {
      throw LUKSError(.invalidRequest, "cannot make \(file.path): a file needs a size")
    }
    guard size > 0, size % UInt64(sectorSize) == 0 else {
      throw LUKSError(
        .invalidRequest,
        "cannot make \(file.path): \(size) bytes are not a whole number of sectors of "
          + "\(sectorSize) bytes",
        advice: "Choose a size that is a multiple of \(sectorSize) and not 0.")
    }
    guard size <= available else {
      throw LUKSError(
        .noSpace,
        "cannot make \(file.path): header and data need \(size) + \(dataOffset) bytes, "
          + "there are \(room)")
    }
    guard !file.isBlockDevice else { return }
    try file.resize(to: 0)
    try file.resize(to: dataOffset + size)
    try file.reserve(length: dataOffset)
  }

  private static func writeHeader(
    _ file: borrowing BackingFile, uuid: String?, keySize: Int, sectorSize: Int,
    _ passphrase: borrowing SecretBytes, _ token: ManagedToken
  ) throws(LUKSError) {
    let device = try initialize(file)
    defer { crypt_free(device) }
    try Library.call("cannot make a LUKS header in", file) {
      crypt_set_data_offset(device, dataOffset / 512)
    }
    try Library.call("cannot make a LUKS header in", file) {
      withManagedKeyDerivation(hash: "sha256") { derivation in
        var parameters = crypt_params_luks2()
        parameters.pbkdf = derivation
        parameters.sector_size = UInt32(sectorSize)
        return crypt_format(
          device, CRYPT_LUKS2, "aes", "xts-plain64", uuid, nil, keySize, &parameters)
      }
    }
    try Library.call("cannot add a keyslot to", file) {
      passphrase.withUnsafeBytes { passphrase in
        crypt_keyslot_add_by_volume_key(
          device, 0, nil, 0, passphrase.baseAddress?.assumingMemoryBound(to: CChar.self),
          passphrase.count)
      }
    }
    try Library.call("cannot add a token to", file) {
      crypt_token_json_set(device, CRYPT_ANY_TOKEN, token.json())
    }
  }

  /// PBKDF2 at libcryptsetup's minimum: the passphrase of a managed keyslot is a uniformly random key,
  /// which no amount of stretching makes harder to guess.
  static func withManagedKeyDerivation(
    hash: String, _ body: (UnsafePointer<crypt_pbkdf_type>) -> Int32
  ) -> Int32 {
    CRYPT_KDF_PBKDF2.withCString { type in
      hash.withCString { hash in
        var derivation = crypt_pbkdf_type()
        derivation.type = type
        derivation.hash = hash
        derivation.iterations = 1000
        derivation.flags = coffer_crypt_pbkdf_no_benchmark
        return body(&derivation)
      }
    }
  }
}
