import Glibc
import ImageMount
import LUKS
import Testing
import VolumeAPI

@testable import AttachmentServer

@Suite struct FailuresTests {
  @Test(arguments: [
    (LUKSError.Code.wrongKey, VolumeErrorCode.wrongKey),
    (.truncated(missing: 1), .damagedImage),
    (.unsupported(.reencryption), .unsupportedImage),
    (.system(errno: ENOENT), .noSuchImage),
    (.system(errno: EACCES), .notAuthorized),
    (.system(errno: EIO), .inputOutput),
  ])
  func ofHeaders(code: LUKSError.Code, expected: VolumeErrorCode) {
    let error = VolumeError(LUKSError(code, "what", advice: "next"))
    #expect(error == VolumeError(expected, "what", advice: "next"))
  }

  @Test(arguments: [
    (ImageMountErrorCode.noFuseDevice, VolumeErrorCode.noFuse),
    (.mountpointStale, .badMountpoint),
    (.allowOtherForbidden, .notAuthorized),
    (.notDurable, .inputOutput),
  ])
  func ofMounts(code: ImageMountErrorCode, expected: VolumeErrorCode) {
    #expect(VolumeError(ImageMountError(code, "what")).code == expected)
  }
}
