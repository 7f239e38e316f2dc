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
  /// How requests travel.
  public var transport = Transport.auto
  /// What the kernel keeps of the decrypted file.
  public var cache = Cache.auto
  /// How many threads serve requests of the classic transport; nil: by the number of processors.
  public var threadCount: Int?
  /// Called with a line of text for people when something is not as it should be but does not stop the
  /// mount; nil: standard error.
  public var notice: (@Sendable (String) -> Void)?

  public init(mountpoint: String, sourceName: String) {
    self.mountpoint = mountpoint
    self.sourceName = sourceName
  }

  /// How requests of the kernel travel to the serving threads.
  public enum Transport: String, Sendable, CaseIterable {
    /// io_uring where the kernel offers it, otherwise classic.
    case auto
    /// Through /dev/fuse.
    case classic
    /// FUSE over io_uring, Linux 6.14 and later, where the administrator has turned it on.
    case uring
  }

  /// What the kernel's page cache does with the decrypted file.
  public enum Cache: String, Sendable, CaseIterable {
    /// Reads are cached, writes go through the cache to the image at once.
    case auto
    /// Nothing is cached: every read and write is a request.
    case none
    /// Writes too stay in the cache until the kernel writes them back, fsync(2), or the unmount. Until then they
    /// are lost with the serving process, not only with the machine.
    case writeback
  }
}
