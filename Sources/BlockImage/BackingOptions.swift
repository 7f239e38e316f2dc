/// How an encrypted image is reached.
public struct BackingOptions: Sendable, Equatable {
  /// The kernel's page cache keeps nothing of the image (O_DIRECT). What is read again is read from the disk
  /// again; for images much larger than memory, and where the decrypted file is cached already.
  public var bypassesCache = false
  public init(bypassesCache: Bool = false) {
    self.bypassesCache = bypassesCache
  }
}
