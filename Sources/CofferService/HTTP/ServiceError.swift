import HTTPTypes
import Hummingbird
import KeyManager
import SecretMemory
import VolumeAPI

/// An answer that says why a request failed.
struct ServiceError: Error {
  let status: HTTPResponse.Status
  let description: String
  var reason: VolumeErrorCode?
  var advice: String?
  var headers: HTTPFields = [:]

  init(
    _ status: HTTPResponse.Status, _ description: String, reason: VolumeErrorCode? = nil,
    advice: String? = nil, headers: HTTPFields = [:]
  ) {
    self.status = status
    self.description = description
    self.reason = reason
    self.advice = advice
    self.headers = headers
  }

  init(_ error: KeyManagerError) {
    let (status, reason): (HTTPResponse.Status, VolumeErrorCode) =
      switch error.code {
      case .notFound: (.notFound, .noSuchKey)
      case .notAuthorized: (.forbidden, .notAuthorized)
      case .invalidRequest: (.badRequest, .invalidRequest)
      case .conflict: (.conflict, .alreadyExists)
      case .inUse: (.conflict, .inUse)
      case .payloadTooLarge: (.contentTooLarge, .invalidRequest)
      case .unavailable: (.serviceUnavailable, .keyManagerUnavailable)
      case .damaged, .internalFailure: (.internalServerError, .internalFailure)
      }
    self.init(status, error.message, reason: reason)
  }

  init(_ error: VolumeError) {
    let status: HTTPResponse.Status =
      switch error.code {
      case .noSuchVolume, .noSuchKey, .noSuchImage: .notFound
      case .notAuthorized: .forbidden
      case .invalidRequest, .wrongKey, .damagedImage, .unsupportedImage, .badMountpoint:
        .badRequest
      case .alreadyExists, .inUse: .conflict
      case .keyManagerUnavailable: .serviceUnavailable
      case .noSpace: HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage")
      case .noFuse, .inputOutput, .internalFailure: .internalServerError
      }
    self.init(status, error.message, reason: error.code, advice: error.advice)
  }

  /// Any error that a route can throw.
  init(answering error: any Error, to request: Request) {
    switch error {
    case let error as ServiceError: self = error
    case let error as KeyManagerError: self.init(error)
    case let error as VolumeError: self.init(error)
    case let error as SecretMemoryError:
      self.init(.internalServerError, error.description, reason: .internalFailure)
    case let error as HTTPError where error.status == .notFound:
      self.init(.notFound, "Not Found. There is no resource \(request.uri.path).")
    default:
      self.init(
        .internalServerError, "the request failed for a reason that the service's log holds",
        reason: .internalFailure)
    }
  }

  func response() -> Response {
    let document = ErrorDocument(
      code: status.code, title: status.reasonPhrase, description: description,
      reason: reason?.rawValue, advice: advice)
    // The document has no part that could fail to encode.
    var response = (try? Response.json(document, status: status)) ?? Response(status: status)
    response.headers.append(contentsOf: headers)
    return response
  }
}
