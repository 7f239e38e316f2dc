/// What kind of failure a mount met.
public enum ImageMountErrorCode: String, Sendable, CaseIterable {
  /// No `/dev/fuse`, or it does not answer: the module is not loaded, or a container hides it.
  case noFuseDevice
  /// An ordinary user mounts through fusermount3, which is not installed.
  case noFusermount
  case mountpointMissing
  case mountpointNotDirectory
  case mountpointNotEmpty
  /// A volume is attached there and answers.
  case alreadyMounted
  /// The process that served the mount there has died.
  case mountpointStale
  /// Nothing of ours is mounted there.
  case notMounted
  /// The kernel or fusermount3 does not let this user mount or unmount there.
  case permissionDenied
  /// `allow_other` by an ordinary user needs `user_allow_other` in /etc/fuse.conf.
  case allowOtherForbidden
  /// FUSE over io_uring was demanded and cannot be had.
  case noRings
  /// An option that FUSE does not have.
  case invalidOption
  /// Files on the mount are in use, or something is mounted on top.
  case busy
  /// At the end, the last changes could not be written to the disk.
  case notDurable
  /// Any other failure of a system call or of libfuse.
  case systemFailure
}

/// Why an image could not be mounted, served or unmounted.
public struct ImageMountError: Error, Sendable, CustomStringConvertible {
  public let code: ImageMountErrorCode
  /// What failed, on what, why.
  public let message: String
  /// What to do next.
  public let advice: String?

  public init(_ code: ImageMountErrorCode, _ message: String, advice: String? = nil) {
    self.code = code
    self.message = message
    self.advice = advice
  }

  public var description: String {
    if let advice { "\(message)\n\(advice)" } else { message }
  }
}
