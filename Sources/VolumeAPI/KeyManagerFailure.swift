public import KeyManager

extension VolumeError {
  /// What a key manager's refusal means to an operation on a volume.
  public init(_ error: KeyManagerError) {
    let code: VolumeErrorCode =
      switch error.code {
      case .notFound: .noSuchKey
      case .notAuthorized: .notAuthorized
      case .invalidRequest, .payloadTooLarge: .invalidRequest
      case .conflict, .inUse: .inUse
      case .unavailable: .keyManagerUnavailable
      case .damaged, .internalFailure: .internalFailure
      }
    self.init(code, error.message)
  }
}
