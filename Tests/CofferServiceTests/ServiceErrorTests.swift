import Hummingbird
import KeyManager
import Testing
import VolumeAPI

@testable import CofferService

@Suite struct ServiceErrorTests {
  @Test(arguments: VolumeErrorCode.allCases)
  func everyVolumeErrorHasAStatusAndItsReason(code: VolumeErrorCode) {
    let error = ServiceError(VolumeError(code, "what failed", advice: "what to do"))
    #expect((400...599).contains(error.status.code))
    #expect(!error.status.reasonPhrase.isEmpty)
    #expect(error.reason == code)
    #expect(error.advice == "what to do")
    #expect(error.description == "what failed")
  }

  @Test(
    arguments: [
      (.noSuchVolume, 404), (.noSuchKey, 404), (.noSuchImage, 404), (.notAuthorized, 403),
      (.invalidRequest, 400), (.damagedImage, 400), (.alreadyExists, 409), (.inUse, 409),
      (.keyManagerUnavailable, 503), (.noSpace, 507), (.internalFailure, 500),
    ] as [(VolumeErrorCode, Int)])
  func statuses(code: VolumeErrorCode, status: Int) {
    #expect(ServiceError(VolumeError(code, "")).status.code == status)
  }

  @Test(
    arguments: [
      (.notFound, 404, .noSuchKey), (.notAuthorized, 403, .notAuthorized),
      (.invalidRequest, 400, .invalidRequest), (.conflict, 409, .alreadyExists),
      (.payloadTooLarge, 413, .invalidRequest), (.unavailable, 503, .keyManagerUnavailable),
      (.damaged, 500, .internalFailure), (.internalFailure, 500, .internalFailure),
    ] as [(KeyManagerError.Code, Int, VolumeErrorCode)])
  func keyManagerErrors(code: KeyManagerError.Code, status: Int, reason: VolumeErrorCode) {
    let error = ServiceError(KeyManagerError(code, "what failed"))
    #expect(error.status.code == status)
    #expect(error.reason == reason)
  }

  /// An error of unknown origin could say anything, so its text stays in the log.
  @Test func anUnknownErrorIsNotShown() {
    struct Odd: Error {}
    let request = Request(
      head: .init(method: .get, scheme: nil, authority: nil, path: "/"),
      body: .init(buffer: ByteBuffer()))
    let error = ServiceError(answering: Odd(), to: request)
    #expect(error.status.code == 500)
    #expect(!error.description.contains("Odd"))
  }
}
