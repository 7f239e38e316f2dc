import BarbicanAPI

extension VolumeError {
  /// What it means that no answer was had.
  init(_ error: HTTPTransportError) {
    let code: VolumeErrorCode =
      switch error.code {
      case .unreachable, .timedOut, .untrusted, .strange, .tooLarge: .keyManagerUnavailable
      case .notPermitted: .notAuthorized
      case .invalidRequest: .invalidRequest
      case .noResources: .inputOutput
      }
    self.init(code, error.message, advice: error.advice)
  }

  /// What an answer with a status of 300 or more means.
  init(_ answer: borrowing HTTPTransport.Response, endpoint: HTTPEndpoint) {
    guard let document = try? answer.document(ErrorDocument.self) else {
      self.init(
        .keyManagerUnavailable,
        "the service at \(endpoint) answered with status \(answer.status) and no reason",
        advice: "Is it cofferd that answers there? If so, look into its log.")
      return
    }
    let code =
      document.reason.flatMap(VolumeErrorCode.init) ?? Self.code(forStatus: document.code)
    self.init(
      code, document.description.isEmpty ? document.title : document.description,
      advice: document.advice)
  }

  /// The code of an error that gives none.
  private static func code(forStatus status: Int) -> VolumeErrorCode {
    switch status {
    case 401, 403: .notAuthorized
    case 404: .noSuchVolume
    case 409: .inUse
    case 400..<500: .invalidRequest
    case 503: .keyManagerUnavailable
    case 507: .noSpace
    default: .internalFailure
    }
  }
}
