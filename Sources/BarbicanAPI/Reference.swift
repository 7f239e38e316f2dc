public import KeyManager

extension KeyID {
  /// The ID at the end of a secret's URL, its `secret_ref`; nil when there is none.
  public init?(secretRef: String) {
    guard let last = secretRef.split(separator: "/").last else { return nil }
    self.init(last)
  }
}

extension SecretDocument {
  /// A key as Barbican shows it.
  ///
  /// - Parameter secretRef: the key's URL.
  public init(_ record: KeyRecord, secretRef: String) {
    let attributes = record.attributes
    let contentType = attributes.contentType ?? "application/octet-stream"
    self.init(
      created: record.created, updated: record.updated, name: attributes.name,
      secretType: attributes.type, expiration: attributes.expiration,
      algorithm: attributes.algorithm, bitLength: attributes.bitLength, mode: attributes.mode,
      creatorID: record.creator, contentTypes: record.hasValue ? ["default": contentType] : nil,
      secretRef: secretRef, consumers: record.consumers.map { SecretConsumer($0.consumer) })
  }

  /// The key that this describes; nil when `secretRef` ends in no ID.
  ///
  /// - Parameter project: what owns it, which Barbican does not say.
  public func record(project: String) -> KeyRecord? {
    guard let id = KeyID(secretRef: secretRef) else { return nil }
    return KeyRecord(
      id: id,
      attributes: KeyAttributes(
        name: name, type: secretType, algorithm: algorithm, bitLength: bitLength, mode: mode,
        expiration: expiration, contentType: contentTypes?["default"]),
      project: project, creator: creatorID ?? "", created: created, updated: updated,
      hasValue: contentTypes != nil,
      consumers: (consumers ?? []).map { RegisteredConsumer($0.consumer, created: updated) })
  }
}
