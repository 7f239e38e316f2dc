import KeyManager

/// Barbican's form of an error.
private struct BarbicanError: Decodable {
  var title: String?
  var description: String?
}

extension KeyManagerError {
  /// What it means that no answer was had.
  init(_ error: HTTPTransportError) {
    let code: Code =
      switch error.code {
      case .unreachable, .timedOut, .untrusted: .unavailable
      case .notPermitted: .notAuthorized
      case .invalidRequest: .invalidRequest
      case .strange, .tooLarge, .noResources: .internalFailure
      }
    self.init(code, error.description)
  }

  /// What an answer with a status of 300 or more means.
  ///
  /// - Parameter action: what failed, for example `cannot list keys`.
  init(
    _ answer: borrowing HTTPTransport.Response, _ action: String, endpoint: HTTPEndpoint
  ) {
    let document = try? answer.document(BarbicanError.self)
    let words = [document?.description, document?.title].compactMap { $0 }.first { !$0.isEmpty }
    let reason = words ?? "status \(answer.status)"
    let code: Code
    var advice = ""
    switch answer.status {
    case 400, 406, 415: code = .invalidRequest
    case 401, 403: code = .notAuthorized
    case 409: code = .conflict
    case 413: code = .payloadTooLarge
    case 500...:
      code = .unavailable
      advice = ". Look into the log of the key manager at \(endpoint)"
    default:
      code = .internalFailure
      advice = ". Is it a key manager that answers at \(endpoint)?"
    }
    self.init(code, "\(action): \(reason)\(advice)")
  }
}
