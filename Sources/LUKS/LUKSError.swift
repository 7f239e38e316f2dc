/// Why an operation on a LUKS image failed: a code for programs, a message for people.
public struct LUKSError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable, Equatable {
    /// No LUKS header: another kind of file, an empty one, a directory.
    case notLUKS
    /// There is a LUKS header, but no copy of it is usable.
    case damagedHeader
    /// The file or device ends before the data does; `missing` is in bytes, 1 or more.
    case truncated(missing: UInt64)
    /// No keyslot that was tried opens with this passphrase.
    case wrongKey
    /// All keyslots were erased: nothing opens the image any more.
    case noKeyslots
    /// A valid LUKS image that is not served.
    case unsupported(Feature)
    /// The block device is mounted or held by another program.
    case inUse
    /// All keyslots are taken.
    case noFreeKeyslot
    /// The file system, the block device or the header's metadata area is full.
    case noSpace
    /// The image was opened for reading alone.
    case readOnly
    /// An argument is out of its range.
    case invalidRequest
    /// Memory for a key or for a keyslot's key derivation could not be had.
    case noMemory
    /// A system call failed with this errno: no such file, permission denied, an I/O error.
    case system(errno: Int32)
  }

  /// What of an image is not supported.
  public enum Feature: String, Sendable {
    /// A cipher, mode or initialisation vector other than `aes-xts-plain64`.
    case cipher
    /// A volume key of other than 256 or 512 bits.
    case keySize
    /// A sector size other than 512, 1024, 2048 or 4096 bytes.
    case sectorSize
    /// A reencryption, encryption or decryption in place that has not finished.
    case reencryption
    /// A requirement in the LUKS2 header that is not understood.
    case requirements
    /// More than one data segment, or one that is not of type `crypt`.
    case segments
    /// dm-integrity below the encryption.
    case integrity
    /// The header is apart from the data.
    case detachedHeader
    /// LUKS1 has no tokens.
    case token
  }

  /// For programs.
  public let code: Code
  /// What failed, on what, why; with libcryptsetup's own words where it has any.
  public let message: String
  /// What to do next.
  public let advice: String?

  /// A failure in words that are complete without the code.
  public init(_ code: Code, _ message: String, advice: String? = nil) {
    self.code = code
    self.message = message
    self.advice = advice
  }

  /// The message, then the advice on a line of its own.
  public var description: String {
    if let advice { "\(message)\n\(advice)" } else { message }
  }
}
