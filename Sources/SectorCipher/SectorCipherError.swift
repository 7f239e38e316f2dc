/// Why a sector cipher could not be made.
public enum SectorCipherError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The key has this many bytes, neither 32 (AES-128-XTS) nor 64 (AES-256-XTS).
  case invalidKeyLength(Int)
  /// Both halves of the key are the same, which IEEE 1619 and FIPS 140 rule out.
  case equalKeyHalves
  /// The sector size in bytes is not 512, 1024, 2048 or 4096.
  case invalidSectorSize(Int)
  /// No kernel has this name, or this machine cannot run it.
  case kernelUnavailable(name: String, available: [Kernel])
  /// The kernel could not take the key: locked memory or libcrypto failed, with this errno or 0.
  case cannotSetKey(Kernel, errno: Int32)

  public var description: String {
    switch self {
    case .invalidKeyLength(let count):
      "an AES-XTS key has 32 or 64 bytes, not \(count)"
    case .equalKeyHalves:
      "the two halves of the AES-XTS key are equal, which IEEE 1619 does not allow: make a new key"
    case .invalidSectorSize(let size):
      "a sector has 512, 1024, 2048 or 4096 bytes, not \(size)"
    case .kernelUnavailable(let name, let available):
      "no AES-XTS kernel '\(name)' on this machine; choose one of "
        + available.map(\.rawValue).joined(separator: ", ")
    case .cannotSetKey(let kernel, let code):
      "the AES-XTS kernel '\(kernel.rawValue)' cannot take the key"
        + (code == 0 ? "" : ": \(reason(code))")
    }
  }
}
