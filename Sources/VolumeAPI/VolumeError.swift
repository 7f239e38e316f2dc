/// What kind of failure an operation on a volume met. Raw values travel in `ErrorDocument.reason`.
public enum VolumeErrorCode: String, Sendable, Codable, CaseIterable {
  /// No such volume, image, key or mountpoint for this caller.
  case noSuchVolume = "no-such-volume"
  case noSuchKey = "no-such-key"
  case noSuchImage = "no-such-image"
  /// The caller's rights do not allow it.
  case notAuthorized = "not-authorized"
  /// Bad arguments: a size that is no multiple of the sector, a name that is taken by no rule.
  case invalidRequest = "invalid-request"
  /// The name, or the image's path, is already there.
  case alreadyExists = "already-exists"
  /// The volume's state, or an attachment, forbids it.
  case inUse = "in-use"
  /// The key does not open the image.
  case wrongKey = "wrong-key"
  /// Not a LUKS image, a damaged header, or a truncated image.
  case damagedImage = "damaged-image"
  /// A LUKS image that Coffer does not serve: another cipher, a half-done reencryption.
  case unsupportedImage = "unsupported-image"
  /// Nobody answers on the key manager's side.
  case keyManagerUnavailable = "key-manager-unavailable"
  /// The mountpoint cannot be used: missing, not a directory, not empty, already mounted.
  case badMountpoint = "bad-mountpoint"
  /// No `/dev/fuse`, or no fusermount3.
  case noFuse = "no-fuse"
  case noSpace = "no-space"
  /// Any other failure of a system call.
  case inputOutput = "input-output"
  /// A bug, or a damaged catalog.
  case internalFailure = "internal-failure"
}

/// Why an operation on a volume failed: a word for programs, and for people what failed, on what, why,
/// and what to do next.
public struct VolumeError: Error, Sendable, Equatable, Codable, CustomStringConvertible {
  public let code: VolumeErrorCode
  /// What failed, on what, why.
  public let message: String
  /// What to do next.
  public let advice: String?

  public init(_ code: VolumeErrorCode, _ message: String, advice: String? = nil) {
    self.code = code
    self.message = message
    self.advice = advice
  }

  public var description: String {
    if let advice { "\(message)\n\(advice)" } else { message }
  }
}
