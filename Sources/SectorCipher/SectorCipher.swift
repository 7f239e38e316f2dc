internal import CCrypto
public import SecretMemory

/// AES-XTS (IEEE 1619) over runs of sectors with dm-crypt's `plain64` tweaks, as in a LUKS
/// `aes-xts-plain64` segment.
///
/// One instance serves any number of threads at once. `encrypt` and `decrypt` neither allocate nor
/// lock nor fail.
public final class SectorCipher: Sendable {
  /// The implementation in use.
  public let kernel: Kernel
  /// Bytes in a sector: 512, 1024, 2048 or 4096.
  public let sectorSize: Int

  private let keyed: KeyedKernel
  private let tweakStep: UInt64

  /// - Parameters:
  ///   - key: the volume key: 32 bytes (AES-128-XTS) or 64 (AES-256-XTS), the data key first.
  ///   - sectorSize: in bytes: 512, 1024, 2048 or 4096.
  ///   - kernel: one of `Kernel.available`, which must pass its self-test, or nil for
  ///     `KernelSelection.current`.
  public init(
    key: borrowing SecretBytes, sectorSize: Int, kernel: Kernel? = nil
  ) throws(SectorCipherError) {
    guard [512, 1024, 2048, 4096].contains(sectorSize) else { throw .invalidSectorSize(sectorSize) }
    guard key.count == 32 || key.count == 64 else { throw .invalidKeyLength(key.count) }
    let half = key.count / 2
    let halvesAreEqual = key.withUnsafeBytes { bytes in
      CRYPTO_memcmp(bytes.baseAddress!, bytes.baseAddress! + half, half) == 0
    }
    guard !halvesAreEqual else { throw .equalKeyHalves }
    let kernel = try Self.proven(kernel)
    self.kernel = kernel
    self.sectorSize = sectorSize
    tweakStep = UInt64(sectorSize / 512)
    keyed = try KeyedKernel.make(kernel, key: key)
  }

  /// A cipher of the benchmark's own, which is not proved to encrypt: `kernel` is what it calls itself.
  package init(untested keyed: consuming KeyedKernel, named kernel: Kernel, sectorSize: Int) {
    self.keyed = keyed
    self.kernel = kernel
    self.sectorSize = sectorSize
    tweakStep = UInt64(sectorSize / 512)
  }

  /// Encrypts whole sectors.
  ///
  /// - Parameters:
  ///   - source: the plaintext, at any alignment.
  ///   - destination: equal to `source`, or disjoint from it.
  ///   - byteCount: a multiple of `sectorSize`, which may be 0.
  ///   - firstTweak: the tweak of the first sector in units of 512 bytes: `iv_tweak + n *
  ///     (sectorSize / 512)`, `n` the sector's index in its segment (dm-crypt's plain64). It grows
  ///     by `sectorSize / 512` with each sector, modulo 2^64.
  public func encrypt(
    _ source: UnsafeRawPointer, to destination: UnsafeMutableRawPointer, byteCount: Int,
    firstTweak: UInt64
  ) {
    keyed.encrypt(
      keyed.context, destination, source, sectorCount(of: byteCount), sectorSize, firstTweak,
      tweakStep)
  }

  /// Decrypts whole sectors; the parameters are those of `encrypt`.
  public func decrypt(
    _ source: UnsafeRawPointer, to destination: UnsafeMutableRawPointer, byteCount: Int,
    firstTweak: UInt64
  ) {
    keyed.decrypt(
      keyed.context, destination, source, sectorCount(of: byteCount), sectorSize, firstTweak,
      tweakStep)
  }

  private static func proven(_ requested: Kernel?) throws(SectorCipherError) -> Kernel {
    guard let requested else { return try KernelSelection.current.kernel }
    guard Kernel.available.contains(requested) else {
      throw .kernelUnavailable(name: requested.rawValue, available: Kernel.available)
    }
    guard try KernelProof.passes(requested) else { throw .selfTestFailed([requested]) }
    return requested
  }

  private func sectorCount(of byteCount: Int) -> Int {
    precondition(
      byteCount >= 0 && byteCount & (sectorSize - 1) == 0, "byteCount is not whole sectors")
    return byteCount >> sectorSize.trailingZeroBitCount
  }
}
