import Glibc
import ImageMount
import LUKS
import VolumeAPI

/// What the layers below say, in the words of an operation on a volume.
extension VolumeError {
  init(_ error: LUKSError) {
    let code: VolumeErrorCode =
      switch error.code {
      case .notLUKS, .damagedHeader, .truncated: .damagedImage
      case .wrongKey, .noKeyslots: .wrongKey
      case .unsupported: .unsupportedImage
      case .inUse: .inUse
      case .noFreeKeyslot: .invalidRequest
      case .noSpace: .noSpace
      case .readOnly: .notAuthorized
      case .invalidRequest: .invalidRequest
      case .noMemory: .inputOutput
      case .system(errno: ENOENT), .system(errno: ENOTDIR): .noSuchImage
      case .system(errno: EACCES), .system(errno: EPERM), .system(errno: EROFS): .notAuthorized
      case .system: .inputOutput
      }
    self.init(code, error.message, advice: error.advice)
  }

  init(_ error: ImageMountError) {
    let code: VolumeErrorCode =
      switch error.code {
      case .noFuseDevice, .noFusermount, .noRings: .noFuse
      case .mountpointMissing, .mountpointNotDirectory, .mountpointNotEmpty, .alreadyMounted,
        .mountpointStale, .notMounted:
        .badMountpoint
      case .permissionDenied, .allowOtherForbidden: .notAuthorized
      case .invalidOption: .invalidRequest
      case .busy: .inUse
      case .notDurable, .systemFailure: .inputOutput
      }
    self.init(code, error.message, advice: error.advice)
  }
}
