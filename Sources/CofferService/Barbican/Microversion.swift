/// The version of the key manager API that a request asks for, 1.0 to 1.2.
///
/// `OpenStack-API-Version: key-manager 1.1`, by OpenStack's microversion specification.
struct Microversion: Comparable, CustomStringConvertible {
  let minor: Int

  static let oldest = Microversion(minor: 0)
  /// From here on secrets have consumers.
  static let consumers = Microversion(minor: 1)
  /// From here on a secret with consumers is not deleted without force.
  static let deletionGuard = Microversion(minor: 2)
  static let newest = Microversion(minor: 2)

  private init(minor: Int) {
    self.minor = minor
  }

  /// Reads the header, which may name other services too; without it, the oldest version.
  init(_ header: String?) throws(ServiceError) {
    let parts = (header ?? "").split(separator: ",").map { $0.split(separator: " ") }
    guard let words = parts.first(where: { $0.first?.lowercased() == "key-manager" }) else {
      self = .oldest
      return
    }
    guard words.count == 2 else {
      throw ServiceError(.badRequest, "OpenStack-API-Version must be 'key-manager VERSION'")
    }
    let known = (Self.oldest.minor...Self.newest.minor).map { Microversion(minor: $0) }
    if words[1] == "latest" {
      self = .newest
    } else if let version = known.first(where: { $0.description == words[1] }) {
      self = version
    } else {
      throw ServiceError(
        .notAcceptable,
        "Version \(words[1]) is not supported by the API. "
          + "Minimum is \(Self.oldest) and maximum is \(Self.newest).")
    }
  }

  var description: String { "1.\(minor)" }

  static func < (a: Microversion, b: Microversion) -> Bool { a.minor < b.minor }
}
