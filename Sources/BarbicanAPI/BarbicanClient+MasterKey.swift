public import KeyManager

/// Coffer's extension of Barbican, for root and the service's user.
extension BarbicanClient {
  /// What is to be known of the master key.
  public func masterKey() async throws(KeyManagerError) -> MasterKeyDocument {
    let answer = try await send(.init(.get, "/coffer/v1/master-key"))
    try check(answer, "cannot look up the master key")
    return try document(MasterKeyDocument.self, in: answer)
  }

  /// Replaces the master key by a new random one.
  public func renewMasterKey() async throws(KeyManagerError) -> MasterKeyDocument {
    var request = HTTPTransport.Request(.post, "/coffer/v1/master-key/renew")
    request.timeout = .seconds(300)
    let answer = try await send(request)
    try check(answer, "cannot renew the master key")
    return try document(MasterKeyDocument.self, in: answer)
  }
}
