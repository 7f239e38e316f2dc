/// How an image is mounted.
public struct ImageMountOptions: Sendable {
  /// An empty directory.
  public var mountpoint: String
  /// What the mount table shows as its source.
  public var sourceName: String
  /// The mount, and the file's mode, allow no writing. Implied by an image that is read-only.
  public var readOnly = false
  /// Other users may use the mount, as far as the file's mode lets them.
  public var allowOther = false
  public var nosuid = true
  public var nodev = true
  public var noexec = false
  /// The owner of the file and the directory; nil: the user who mounts. Another user gets
  /// access only with `allowOther`.
  public var uid: UInt32?
  public var gid: UInt32?
  /// Further flags of mount(8), by name: `sync`, `dirsync`, `noatime`.
  public var extra: [String] = []
  /// How many threads serve requests; nil: by the number of processors.
  public var threadCount: Int?
  /// Called with a line of text for people when something is not as it should be but does not stop the
  /// mount; nil: standard error.
  public var notice: (@Sendable (String) -> Void)?

  public init(mountpoint: String, sourceName: String) {
    self.mountpoint = mountpoint
    self.sourceName = sourceName
  }
}
