import Glibc
import HostSystem
import KeyManager
import LUKS
import SecretMemory
import VolumeAPI

/// Runs calls of the operating system; `what` says what failed, for example `cannot create the image`.
func trying<Value: ~Copyable>(
  _ what: String, _ body: () throws(SystemError) -> Value
) throws(VolumeError) -> Value {
  do throws(SystemError) {
    return try body()
  } catch {
    throw VolumeError(what, error)
  }
}

/// The failures of the layers below, in the words of this one.
extension VolumeError {
  /// - Parameter what: for example `cannot create the image`.
  init(_ what: String, _ error: SystemError) {
    self.init(
      Self.code(of: error.code.rawValue), "\(what): \(error)",
      advice: Self.advice(of: error.code.rawValue))
  }

  /// - Parameter path: what people call the image, where it was opened by its descriptor.
  init(_ error: LUKSError, openedAs opened: String, path: String) {
    let code: VolumeErrorCode
    var advice = error.advice
    switch error.code {
    case .notLUKS, .damagedHeader, .truncated, .noKeyslots: code = .damagedImage
    case .wrongKey: code = .wrongKey
    case .unsupported: code = .unsupportedImage
    case .inUse: code = .inUse
    case .noFreeKeyslot, .invalidRequest: code = .invalidRequest
    case .noSpace: code = .noSpace
    case .readOnly, .noMemory: code = .inputOutput
    case .system(let number):
      code = Self.code(of: number)
      advice = advice ?? Self.advice(of: number)
    }
    self.init(
      code, error.message.replacing(opened, with: path),
      advice: advice?.replacing(opened, with: path))
  }

  init(_ what: String, _ error: KeyManagerError) {
    let code: VolumeErrorCode =
      switch error.code {
      case .notFound: .noSuchKey
      case .notAuthorized: .notAuthorized
      case .invalidRequest, .payloadTooLarge, .conflict: .invalidRequest
      case .inUse: .inUse
      case .unavailable: .keyManagerUnavailable
      case .damaged, .internalFailure: .internalFailure
      }
    self.init(code, "\(what): \(error)")
  }

  init(_ what: String, _ error: SecretMemoryError) {
    self.init(.inputOutput, "\(what): \(error)")
  }

  private static func code(of number: Int32) -> VolumeErrorCode {
    switch number {
    case ENOENT, ENOTDIR, ENXIO, ENODEV: .noSuchImage
    case EACCES, EPERM: .notAuthorized
    case EEXIST: .alreadyExists
    case EBUSY, ETXTBSY: .inUse
    case ENOSPC, EDQUOT: .noSpace
    case EFBIG, ENAMETOOLONG, ELOOP, EISDIR: .invalidRequest
    default: .inputOutput
    }
  }

  private static func advice(of number: Int32) -> String? {
    switch number {
    case EFBIG: "The file system takes no file that large: choose a smaller size."
    case EACCES, EPERM: "Check the owner and the mode of the file and of the directories above it."
    case ENOSPC, EDQUOT: "Free some space."
    default: nil
    }
  }
}
