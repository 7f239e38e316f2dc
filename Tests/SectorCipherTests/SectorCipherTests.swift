import Glibc
import SecretMemory
import Testing

@testable import SectorCipher

@Suite struct SectorCipherTests {
  @Test(arguments: [0, 16, 31, 33, 48, 63, 65, 128])
  func refusesOtherKeyLengths(count: Int) throws {
    let key = try secret(Array(0..<UInt8(count)))
    let error = failure { () throws(SectorCipherError) in
      _ = try SectorCipher(key: key, sectorSize: 512)
    }
    guard case .invalidKeyLength(count) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test(arguments: [32, 64], [nil] + Kernel.available)
  func refusesEqualHalves(count: Int, kernel: Kernel?) throws {
    let half = Array(0..<UInt8(count / 2))
    let key = try secret(half + half)
    let error = failure { () throws(SectorCipherError) in
      _ = try SectorCipher(key: key, sectorSize: 512, kernel: kernel)
    }
    guard case .equalKeyHalves = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    for index in [0, count / 2 - 1, count / 2, count - 1] {
      var bytes = half + half
      bytes[index] ^= 0x80
      _ = try SectorCipher(key: secret(bytes), sectorSize: 512, kernel: kernel)
    }
  }

  @Test(arguments: [-512, 0, 1, 256, 511, 513, 768, 3072, 8192])
  func refusesOtherSectorSizes(size: Int) throws {
    let key = try secret(Array(0..<64))
    let error = failure { () throws(SectorCipherError) in
      _ = try SectorCipher(key: key, sectorSize: size)
    }
    guard case .invalidSectorSize(size) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func refusesAKernelThatThisMachineLacks() throws {
    let key = try secret(Array(0..<64))
    let missing = try #require(Kernel.allCases.first { !Kernel.available.contains($0) })
    let error = failure { () throws(SectorCipherError) in
      _ = try SectorCipher(key: key, sectorSize: 512, kernel: missing)
    }
    guard case .kernelUnavailable(missing.rawValue, Kernel.available) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func saysWhichKernelItUses() throws {
    for kernel in Kernel.available {
      let cipher = try SectorCipher(
        key: secret(Array(0..<32)), sectorSize: 2048, kernel: kernel)
      #expect(cipher.kernel == kernel)
      #expect(cipher.sectorSize == 2048)
    }
  }

  @Test func errorsNameTheRemedy() {
    let text = SectorCipherError.kernelUnavailable(name: "x", available: [.aesni, .libcrypto])
      .description
    #expect(text.contains("'x'") && text.contains("aesni, libcrypto"))
    #expect(SectorCipherError.selfTestFailed([.aesni]).description.contains("aesni"))
  }

  @Test func aRunThatIsNotWholeSectorsIsAProgrammingError() async {
    await #expect(processExitsWith: .failure) {
      let cipher = try SectorCipher(key: secret(Array(0..<64)), sectorSize: 1024)
      _ = cipher.encrypted([UInt8](repeating: 0, count: 1536), firstTweak: 0)
    }
  }

  /// proc(5), VmFlags: `lo` is locked in memory, `dd` is left out of core dumps.
  @Test(arguments: Kernel.available.filter { $0 != .libcrypto })
  func theKeyScheduleIsLockedAndNotDumped(kernel: Kernel) throws {
    let keyed = try KeyedKernel.make(kernel, key: secret(Array(0..<64)))
    let address = UInt(bitPattern: keyed.context)
    let flags = try #require(vmFlags(at: address))
    #expect(flags.contains("dd"))
    // Address Sanitizer makes mlock(2) a call without effect.
    if dlsym(nil, "__asan_init") == nil { #expect(flags.contains("lo")) }
  }
}

private func failure(_ body: () throws(SectorCipherError) -> Void) -> SectorCipherError? {
  do {
    try body()
    return nil
  } catch {
    return error
  }
}

private func vmFlags(at address: UInt) -> [Substring]? {
  guard let file = fopen("/proc/self/smaps", "r") else { return nil }
  defer { fclose(file) }
  var isInside = false
  var buffer = [CChar](repeating: 0, count: 4096)
  while fgets(&buffer, Int32(buffer.count), file) != nil {
    let line = String(
      decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let head = line.prefix { $0 != " " }.split(separator: "-")
    if head.count == 2, let low = UInt(head[0], radix: 16), let high = UInt(head[1], radix: 16) {
      isInside = (low..<high).contains(address)
    } else if isInside, line.hasPrefix("VmFlags:") {
      return line.split(whereSeparator: \.isWhitespace)
    }
  }
  return nil
}
