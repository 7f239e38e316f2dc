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
      let plaintext = random.bytes(512 * Int.random(in: 1...16, using: &random))
      let ciphertext = plaintext.withUnsafeBytes {
        libcryptoXTS($0, key: key, encrypting: true, sectorSize: 512, firstTweak: tweak)
      }
      return (tweak: tweak, plaintext: plaintext, ciphertext: ciphertext)
    }
    // libcrypto's kernel is the one that has state to mix up, for an instant in each sector.
    let repetitions = kernel == .libcrypto ? 5000 : 200
    let wrong = Atomic(0)
    inThreads(runs.count) { index in
      let run = runs[index]
      for _ in 0..<repetitions {
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

/// Where threads wait for each other, so that they all run at once.
// @unchecked: pthread_barrier_wait(3) is what the barrier is for, and nothing else touches it before
// the last thread has gone.
private final class Start: @unchecked Sendable {
  private let barrier = UnsafeMutablePointer<pthread_barrier_t>.allocate(capacity: 1)

  init(_ count: Int) {
    precondition(pthread_barrier_init(barrier, nil, UInt32(count)) == 0)
  }

  func wait() { pthread_barrier_wait(barrier) }

  deinit {
    pthread_barrier_destroy(barrier)
    barrier.deallocate()
  }
}

/// Runs `body` in `count` threads of its own and waits for all.
private func inThreads(_ count: Int, _ body: @Sendable @escaping (Int) -> Void) {
  final class Work: Sendable {
    let index: Int
    let start: Start
    let body: @Sendable (Int) -> Void
    init(_ index: Int, _ start: Start, _ body: @Sendable @escaping (Int) -> Void) {
      self.index = index
      self.start = start
      self.body = body
    }
  }
  let start = Start(count)
  let threads = (0..<count).map { index in
    var thread = pthread_t()
    let work = Unmanaged.passRetained(Work(index, start, body)).toOpaque()
    let result = pthread_create(
      &thread, nil,
      { work in
        let work = Unmanaged<Work>.fromOpaque(work!).takeRetainedValue()
        work.start.wait()
        work.body(work.index)
        return nil
      }, work)
    precondition(result == 0)
    return thread
  }
  for thread in threads { pthread_join(thread, nil) }
}
