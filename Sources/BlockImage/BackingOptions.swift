/// How an encrypted image is reached.
public struct BackingOptions: Sendable, Equatable {
  /// The kernel's page cache keeps nothing of the image (O_DIRECT). What is read again is read from the disk
  /// again; for images much larger than memory, and where the decrypted file is cached already.
  public var bypassesCache = false
  /// Zeroed ranges and holes become holes of the image, and sectors of it that are all zeros read as zeros.
  ///
  /// This leaves the LUKS format, which has no such sectors: under dm-crypt, or attached without this option, they
  /// read as noise. An image that was once used with it must be used with it from then on, unless nothing
  /// relies on zeros where something was discarded (file systems do not, where fstrim(8) was all that
  /// discarded). It also shows whoever sees the image which parts are in use, and lets whoever can write to
  /// the image choose zeros for any sector.
  public var discards = false

  public init(bypassesCache: Bool = false, discards: Bool = false) {
    self.bypassesCache = bypassesCache
    self.discards = discards
  }
}
