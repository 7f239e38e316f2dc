import Glibc
import SecretMemory
import SectorCipher
import Synchronization
import Testing

@Suite struct ConcurrencyTests {
  /// More threads than processors, so that they also meet at what libcrypto's kernel shares.
  @Test(arguments: Kernel.available)
  func oneCipherServesManyThreads(kernel: Kernel) throws {
    var random = SeededGenerator()
    let key = random.bytes(64)
    let cipher = try SectorCipher(key: secret(key), sectorSize: 512, kernel: kernel)
    let runs = (0..<24).map { _ in
      let tweak = random.tweak()
      let plaintext = random.bytes(512 * Int.random(in: 1...40, using: &random))
      let ciphertext = plaintext.withUnsafeBytes {
        libcryptoXTS($0, key: key, encrypting: true, sectorSize: 512, firstTweak: tweak)
      }
      return (tweak: tweak, plaintext: plaintext, ciphertext: ciphertext)
    }
    let wrong = Atomic(0)
    inThreads(runs.count) { index in
      let run = runs[index]
      for _ in 0..<200 {
        let isRight =
          cipher.encrypted(run.plaintext, firstTweak: run.tweak) == run.ciphertext
          && cipher.decrypted(run.ciphertext, firstTweak: run.tweak) == run.plaintext
        if !isRight { wrong.add(1, ordering: .relaxed) }
      }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
  }

  /// The first use in a process is a race for the self-test and the selection.
  @Test func firstUseMayBeByManyThreads() async {
    await #expect(processExitsWith: .success) {
      let failures = Atomic(0)
      inThreads(16) { _ in
        let cipher = try? SectorCipher(key: secret(Array(0..<64)), sectorSize: 4096)
        if cipher == nil { failures.add(1, ordering: .relaxed) }
      }
      precondition(failures.load(ordering: .relaxed) == 0)
    }
  }
}

/// Runs `body` in `count` threads of its own and waits for all.
private func inThreads(_ count: Int, _ body: @Sendable @escaping (Int) -> Void) {
  final class Work: Sendable {
    let index: Int
    let body: @Sendable (Int) -> Void
    init(_ index: Int, _ body: @Sendable @escaping (Int) -> Void) {
      self.index = index
      self.body = body
    }
  }
  let threads = (0..<count).map { index in
    var thread = pthread_t()
    let work = Unmanaged.passRetained(Work(index, body)).toOpaque()
    let result = pthread_create(
      &thread, nil,
      { work in
        let work = Unmanaged<Work>.fromOpaque(work!).takeRetainedValue()
        work.body(work.index)
        return nil
      }, work)
    precondition(result == 0)
    return thread
  }
  for thread in threads { pthread_join(thread, nil) }
}
