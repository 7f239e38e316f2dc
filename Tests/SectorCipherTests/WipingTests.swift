import CCrypto
import Glibc
import SecretMemory
import Testing

@testable import SectorCipher

/// What a kernel leaves on the stack of the thread that called it. Without optimisation the compiler
/// keeps every value there, so only an optimised build promises anything.
@Suite(.enabled(if: isOptimised)) struct WipingTests {
  @Test(arguments: Kernel.available.filter { $0 != .libcrypto }, [32, 64])
  func leavesNoTweakAndNoRoundKeyOnTheStack(kernel: Kernel, keyBytes: Int) throws {
    var random = SeededGenerator()
    let key = random.bytes(keyBytes)
    let firstTweak = random.next()
    let run = Run(keyed: try KeyedKernel.make(kernel, key: secret(key)), firstTweak: firstTweak)
    var secrets = Set(run.roundKeyHalves)
    for sector in 0..<UInt64(Run.sectorCount) {
      var tweak = encryptedTweak(firstTweak &+ sector, key: Array(key.suffix(keyBytes / 2)))
      for _ in 0..<Run.sectorSize / 16 {
        secrets.formUnion([tweak.low, tweak.high])
        tweak = timesX(tweak)
      }
    }
    for transform in [run.keyed.encrypt, run.keyed.decrypt] {
      run.transform = transform
      let stack = run.onStackOfItsOwn()
      #expect(stack.contains { $0 != 0 }, "the thread used this stack")
      #expect(stack.filter(secrets.contains) == [])
    }
  }

  private func encryptedTweak(_ tweak: UInt64, key: [UInt8]) -> (low: UInt64, high: UInt64) {
    let context = EVP_CIPHER_CTX_new()
    defer { EVP_CIPHER_CTX_free(context) }
    let algorithm = key.count == 16 ? EVP_aes_128_ecb() : EVP_aes_256_ecb()
    var block = [tweak.littleEndian, 0]
    var written: Int32 = 0
    let ok = block.withUnsafeMutableBytes { block in
      let bytes = block.bindMemory(to: UInt8.self).baseAddress
      return EVP_EncryptInit_ex2(context, algorithm, key, nil, nil) == 1
        && EVP_EncryptUpdate(context, bytes, &written, bytes, 16) == 1
    }
    precondition(ok && written == 16)
    return (UInt64(littleEndian: block[0]), UInt64(littleEndian: block[1]))
  }

  private func timesX(_ tweak: (low: UInt64, high: UInt64)) -> (low: UInt64, high: UInt64) {
    let carry: UInt64 = tweak.high >> 63 == 1 ? 0x87 : 0
    return (tweak.low << 1 ^ carry, tweak.high << 1 | tweak.low >> 63)
  }
}

private var isOptimised: Bool {
  #if DEBUG
    false
  #else
    true
  #endif
}

private final class Run {
  static let sectorSize = 512
  static let sectorCount = 33
  private static let stackBytes = 1 << 18

  let keyed: KeyedKernel
  let firstTweak: UInt64
  let data: UnsafeMutableRawPointer
  var transform: KeyedKernel.Transform

  init(keyed: consuming KeyedKernel, firstTweak: UInt64) {
    transform = keyed.encrypt
    self.keyed = keyed
    self.firstTweak = firstTweak
    data = .allocate(byteCount: Self.sectorSize * Self.sectorCount, alignment: 64)
  }

  deinit { data.deallocate() }

  /// The context begins with three schedules of 15 blocks.
  var roundKeyHalves: [UInt64] {
    let words = UnsafeRawPointer(keyed.context).assumingMemoryBound(to: UInt64.self)
    return (0..<3 * 15 * 2).map { words[$0] }.filter { $0 != 0 }
  }

  /// Runs the transform in a thread; the words of that thread's stack afterwards.
  func onStackOfItsOwn() -> [UInt64] {
    let stack = mmap(
      nil, Self.stackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
    precondition(stack != MAP_FAILED)
    defer { munmap(stack, Self.stackBytes) }
    var attributes = pthread_attr_t()
    var thread = pthread_t()
    precondition(pthread_attr_init(&attributes) == 0)
    defer { pthread_attr_destroy(&attributes) }
    precondition(pthread_attr_setstack(&attributes, stack, Self.stackBytes) == 0)
    let result = pthread_create(
      &thread, &attributes,
      { argument in
        let run = Unmanaged<Run>.fromOpaque(argument!).takeUnretainedValue()
        run.transform(
          run.keyed.context, run.data, run.data, Run.sectorCount, Run.sectorSize, run.firstTweak, 1)
        return nil
      }, Unmanaged.passUnretained(self).toOpaque())
    precondition(result == 0 && pthread_join(thread, nil) == 0)
    let words = UnsafeRawBufferPointer(start: stack, count: Self.stackBytes)
    return Array(words.bindMemory(to: UInt64.self))
  }
}
