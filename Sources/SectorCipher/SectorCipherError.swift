public import SecretMemory

/// Why a sector cipher could not be made.
public enum SectorCipherError: Error, Sendable, CustomStringConvertible {
  /// The key has this many bytes, neither 32 (AES-128-XTS) nor 64 (AES-256-XTS).
  case invalidKeyLength(Int)
  /// Both halves of the key are the same, which IEEE 1619 and FIPS 140 rule out.
  case equalKeyHalves
  /// The sector size in bytes is not 512, 1024, 2048 or 4096.
  case invalidSectorSize(Int)
  /// No kernel has this name, or this machine cannot run it.
  case kernelUnavailable(name: String, available: [Kernel])
  /// These kernels compute something else than AES-XTS here.
  case selfTestFailed([Kernel])
  /// There is no locked memory for the key schedule.
  case cannotLockMemory(SecretMemoryError)
  /// libcrypto does not offer AES-XTS, or is out of memory.
  case libcryptoFailed

  public var description: String {
    switch self {
    case .invalidKeyLength(let count):
      "an AES-XTS key has 32 or 64 bytes, not \(count)"
    case .equalKeyHalves:
      "the two halves of the AES-XTS key are equal, which IEEE 1619 does not allow: make a new key"
    case .invalidSectorSize(let size):
      "a sector has 512, 1024, 2048 or 4096 bytes, not \(size)"
    case .kernelUnavailable(let name, let available):
      "no AES-XTS kernel '\(name)' on this machine: COFFER_XTS can be "
        + available.map(\.rawValue).joined(separator: ", ")
    case .selfTestFailed(let kernels):
      "the self-test of the AES-XTS kernel "
        + "\(kernels.map(\.rawValue).joined(separator: ", ")) failed: "
        + "nothing was read or written; check this machine's memory and processor, and report it"
    case .cannotLockMemory(let error):
      error.description
    case .libcryptoFailed:
      "libcrypto cannot set up AES-XTS: check its configuration (openssl list -cipher-algorithms)"
    }
  }
}
