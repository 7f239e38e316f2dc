internal import CCrypto
internal import SecretMemory
internal import Synchronization

/// The self-test of a kernel: known answers, then random runs beside libcrypto.
enum KernelProof {
  typealias Keying = (borrowing SecretBytes) throws(SectorCipherError) -> KeyedKernel

  private static let verdicts = Mutex<[Kernel: Bool]>([:])

  /// Whether the kernel computes AES-XTS. It is asked once in a process. Throws when there is no
  /// memory for the test.
  static func passes(_ kernel: Kernel) throws(SectorCipherError) -> Bool {
    if let known = verdicts.withLock({ $0[kernel] }) { return known }
    let verdict = try passes(besideLibcrypto: kernel != .libcrypto) {
      key throws(SectorCipherError) in
      try KeyedKernel.make(kernel, key: key)
    }
    verdicts.withLock { $0[kernel] = verdict }
    return verdict
  }

  static func passes(
    besideLibcrypto: Bool, keying: Keying
  ) throws(SectorCipherError) -> Bool {
    for answer in KnownAnswer.ieee1619 {
      guard try answer.isGiven(by: keying) else { return false }
    }
    guard besideLibcrypto else { return true }
    // More sectors than any kernel takes at once, and numbers of them that fill no vector.
    for (sectorSize, sectorCount) in [(512, 67), (1024, 35), (2048, 5), (4096, 3)] {
      for keyBytes in [32, 64] {
        let agrees = try agreesWithLibcrypto(
          keying, keyBytes: keyBytes, sectorSize: sectorSize, sectorCount: sectorCount)
        guard agrees else { return false }
      }
    }
    return true
  }

  private static func agreesWithLibcrypto(
    _ keying: Keying, keyBytes: Int, sectorSize: Int, sectorCount: Int
  ) throws(SectorCipherError) -> Bool {
    let key = try secret(randomBytes(keyBytes))
    let kernel = try keying(key)
    let libcrypto = try KeyedKernel.make(.libcrypto, key: key)
    let data = randomBytes(sectorCount * sectorSize)
    // The tweaks of the run pass 2^64.
    let tweak = 0 &- UInt64.random(in: 1..<UInt64(sectorCount))
    for direction in [KeyedKernel.Direction.encrypting, .decrypting] {
      let ours = kernel.transformed(data, direction, sectorSize: sectorSize, firstTweak: tweak)
      let theirs = libcrypto.transformed(
        data, direction, sectorSize: sectorSize, firstTweak: tweak)
      guard ours == theirs else { return false }
    }
    return true
  }

  static func secret(_ bytes: [UInt8]) throws(SectorCipherError) -> SecretBytes {
    var bytes = bytes
    do {
      return try SecretBytes.taking(&bytes)
    } catch {
      throw .cannotLockMemory(error)
    }
  }

  private static func randomBytes(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in generator.next() }
  }
}

extension KeyedKernel {
  enum Direction {
    case encrypting, decrypting
  }

  /// `data` has whole sectors.
  borrowing func transformed(
    _ data: [UInt8], _ direction: Direction, sectorSize: Int, firstTweak: UInt64
  ) -> [UInt8] {
    let transform = direction == .encrypting ? encrypt : decrypt
    return [UInt8](unsafeUninitializedCapacity: data.count) { destination, count in
      data.withUnsafeBytes { source in
        transform(
          context, destination.baseAddress, source.baseAddress, data.count / sectorSize, sectorSize,
          firstTweak, UInt64(sectorSize / 512))
      }
      count = data.count
    }
  }
}
