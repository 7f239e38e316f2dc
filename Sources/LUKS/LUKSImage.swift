import CCryptsetup
import Glibc
public import SecretMemory

/// A LUKS1 or LUKS2 image with its header in front of the data, in a file or on a block device.
///
/// Before an image is opened for writing, the caller takes `HostSystem.ImageLock` on it, exclusively, and
/// shared before it is opened for reading: libcryptsetup's own locking is off (its lock directory is
/// root's), and then it takes no flock(2) either.
@LUKSActor
public final class LUKSImage {
  /// What the image was opened as.
  public nonisolated let path: String
  /// Whether changes are refused.
  public nonisolated let readOnly: Bool
  /// Where the data lies and how it is encrypted.
  public nonisolated let geometry: LUKSGeometry
  /// Of the decrypted image, in bytes; a multiple of the sector size, 1 sector or more.
  public nonisolated let decryptedSize: UInt64
  /// What was odd about the image but did not stop it from opening, in sentences for people: a damaged
  /// copy of the header, a token that makes no sense.
  public nonisolated let notices: [String]
  /// Which key opens the image. Nil in LUKS1, and in LUKS2 when there is no such token.
  public internal(set) var token: ManagedToken?

  let file: BackingFile
  let device: OpaquePointer
  /// The token's number in the header, when there is one.
  var tokenNumber: Int32?

  /// Opens an image and checks that it can be served: that it is whole and of a supported kind.
  ///
  /// Opening for reading never writes. Opening for writing repairs a damaged copy of a LUKS2 header from
  /// the intact one and says so in `notices`, but only when nothing else is wrong; a failure leaves the
  /// image as it was.
  ///
  /// - Parameter path: a file or block device; `/proc/self/fd/N` works too, when this user may open what
  ///   is behind it.
  public static func open(path: String, readOnly: Bool) throws(LUKSError) -> LUKSImage {
    let file = try BackingFile.open(path, readOnly: readOnly)
    let size = try file.size()
    let copies = try HeaderCopies.read(file)
    let device = try load(file, size: size, copies: copies)
    do throws(LUKSError) {
      let header = try LoadedHeader(device, file)
      try header.checkLength(size: size, file)
      var notices = header.notices
      if let fault = copies.fault {
        notices.append(repair(fault, in: file, readOnly: readOnly))
        // The salts of the damaged copy, which later updates write again, are the repaired ones then.
        try Library.call("cannot read the LUKS header of", file) { crypt_load(device, nil, nil) }
      }
      return LUKSImage(
        file: file, readOnly: readOnly, device: device, header: header, size: size, notices: notices
      )
    } catch {
      crypt_free(device)
      throw error
    }
  }

  private init(
    file: consuming BackingFile, readOnly: Bool, device: OpaquePointer, header: LoadedHeader,
    size: UInt64, notices: [String]
  ) {
    self.path = file.path
    self.readOnly = readOnly
    self.geometry = header.geometry
    self.decryptedSize = header.geometry.size ?? size - header.geometry.dataOffset
    self.notices = notices
    self.token = header.token
    self.tokenNumber = header.tokenNumber
    self.device = device
    self.file = file
  }

  isolated deinit {
    crypt_free(device)
  }

  /// The volume key, by a passphrase.
  ///
  /// - Parameters:
  ///   - passphrase: for a managed keyslot `ManagedPassphrase.of(key:)`.
  ///   - keyslots: which to try, in this order; unknown and unbound ones are passed over. By default
  ///     those of the token, then all. A keyslot for a typed passphrase may take seconds and a gigabyte
  ///     of memory to try; `token?.keyslots` avoids that.
  /// - Throws: `wrongKey` when none opens.
  public func unlock(
    passphrase: borrowing SecretBytes, keyslots: [Int]? = nil
  ) throws(LUKSError) -> VolumeKey {
    var candidates = (keyslots ?? token?.keyslots ?? [])
      .filter(self.keyslots.contains).map(Int32.init)
    if keyslots == nil { candidates.append(CRYPT_ANY_SLOT) }
    var bytes: SecretBytes
    do {
      bytes = try .zeroed(count: geometry.keySize)
    } catch {
      throw LUKSError(.noMemory, "cannot unlock \(path): \(error)")
    }
    for candidate in candidates {
      do throws(LUKSError) {
        let keyslot = try getVolumeKey(into: &bytes, passphrase, keyslot: candidate)
        return VolumeKey(bytes: bytes, keyslot: Int(keyslot))
      } catch {
        // No such file or directory: there was no keyslot to try.
        guard [.wrongKey, .system(errno: ENOENT)].contains(error.code) else { throw error }
      }
    }
    throw LUKSError(
      .wrongKey, "the key does not open \(path)",
      advice: "Check that the key's ID belongs to this image.")
  }

  private func getVolumeKey(
    into bytes: inout SecretBytes, _ passphrase: borrowing SecretBytes, keyslot: Int32
  ) throws(LUKSError) -> Int32 {
    var length = bytes.count
    let result = try Library.call("cannot unlock", file) {
      passphrase.withUnsafeBytes { passphrase in
        bytes.withUnsafeMutableBytes { bytes in
          crypt_volume_key_get(
            device, keyslot, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), &length,
            passphrase.baseAddress?.assumingMemoryBound(to: CChar.self), passphrase.count)
        }
      }
    }
    guard length == geometry.keySize else {
      throw LUKSError(
        .damagedHeader,
        "cannot unlock \(path): keyslot \(result) holds a key of \(length) bytes, "
          + "the data needs \(geometry.keySize)")
    }
    return result
  }
}
