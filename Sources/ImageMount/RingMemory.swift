import CURing
import Glibc

/// How many requests each processor's queue can hold, and how long they are: what the memory of the rings comes to.
struct RingSize: Equatable {
  /// As many as there can be processors: the kernel demands a queue for each.
  let queueCount: Int
  let entriesPerQueue: Int
  /// The longest read and write, in bytes.
  let maximumRequest: Int

  /// All payload buffers of all entries stay under this, in bytes, up to 256 processors.
  static let budget = 32 << 20
  /// What an ordinary user's limit of locked memory must leave to everything else, in bytes.
  private static let lockedElsewhere = 3 << 19

  /// - Parameters:
  ///   - processors: the number of possible ones.
  ///   - lockable: how much memory this process may lock, in bytes. Where that is not enough for two short
  ///     requests for each processor, it is exceeded.
  init(processors: Int, lockable: Int = .max) {
    queueCount = processors
    let budget = min(Self.budget, max(lockable - Self.lockedElsewhere, 0))
    var request = 256 << 10
    while request > 64 << 10 && processors * request * 4 > budget { request /= 2 }
    maximumRequest = request
    entriesPerQueue = min(max(budget / (processors * request), 2), 16)
  }

  /// Of all payload buffers, in bytes.
  var byteCount: Int { queueCount * entriesPerQueue * maximumRequest }
}

/// One request at a time: its two buffers, and the queue it belongs to.
struct RingEntry {
  let queue: Int
  let request: RingRequest
  /// The two buffers as the kernel wants them described.
  let vectors: UnsafeMutablePointer<iovec>
  /// How much of the payload buffer has ever been used, in bytes.
  var used = 0
}

/// The buffers of all entries: one mapping, whose pages come into being, locked, when they are used.
struct RingMemory: ~Copyable {
  let entries: UnsafeMutableBufferPointer<RingEntry>
  /// Whether plaintext stays out of the swap.
  let isLocked: Bool
  private let vectors: UnsafeMutablePointer<iovec>
  private let memory: UnsafeMutableRawPointer
  private let byteCount: Int

  private static let headerStride = 512

  /// Nil without memory.
  init?(_ size: RingSize) {
    let count = size.queueCount * size.entriesPerQueue
    let headers = (count * Self.headerStride + 4095) & ~4095
    byteCount = headers + size.byteCount
    guard
      let memory = mmap(
        nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
      memory != MAP_FAILED
    else { return nil }
    self.memory = memory
    madvise(memory, byteCount, MADV_DONTDUMP)
    isLocked = coffer_lock_when_used(memory, byteCount) == 0
    entries = .allocate(capacity: count)
    vectors = .allocate(capacity: 2 * count)
    for index in 0..<count {
      let header = memory + index * Self.headerStride
      let payload = memory + headers + index * size.maximumRequest
      let pair = vectors + 2 * index
      pair.initialize(to: iovec(iov_base: header, iov_len: Self.headerStride))
      (pair + 1).initialize(to: iovec(iov_base: payload, iov_len: size.maximumRequest))
      entries.initializeElement(
        at: index,
        to: RingEntry(
          queue: index / size.entriesPerQueue,
          request: RingRequest(header: header, payload: payload, payloadSize: size.maximumRequest),
          vectors: pair))
    }
  }

  deinit {
    // Pages that nobody used must not come into being now.
    for entry in entries where entry.used > 0 {
      explicit_bzero(entry.request.payload, entry.used)
    }
    munmap(memory, byteCount)
    vectors.deallocate()
    entries.deallocate()
  }
}
