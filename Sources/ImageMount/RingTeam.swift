import BlockImage
import CURing
import Glibc
import Synchronization

/// A thread of `RingServer`.
struct RingThread: ~Copyable {
  let index: Int
  let ring: OpaquePointer
  let context: IOContext

  deinit { coffer_ring_close(ring) }
}

/// What the completion of a tag means. A tag is the address of an entry with one of these in its lowest bits.
private enum Event: UInt64 {
  /// The kernel has put a request into the entry; with an error, the connection has ended.
  case request = 0
  /// Another thread wants the request to be served here.
  case handedOver = 1
  /// Another thread has served the request; it is to be committed here.
  case served = 2
  /// All threads are to end; there is no entry.
  case stop = 3

  static let mask: UInt64 = 7
}

/// The threads of `RingServer`: first the keepers, then the helpers, then the waiters.
struct RingTeam: ~Copyable {
  let keeperCount: Int
  let helperCount: Int
  let waiterCount: Int
  let failure = Atomic<Int32>(0)
  private(set) var count = 0
  private let server: UnsafeMutablePointer<FileServer>
  /// Whether every request waits for the disk.
  private let bypassesCache: Bool
  private let threads: UnsafeMutablePointer<RingThread>
  /// A bit for each helper that has nothing to do.
  private let idleHelpers = Atomic<UInt64>(0)
  private let nextWaiter = Atomic<Int>(0)

  /// From here on a request is big, in bytes: worth waking another processor for.
  private static let bigRequest = 32 << 10
  /// How many completions are looked at together.
  private static let batch = 64

  init(
    server: UnsafeMutablePointer<FileServer>, keeperCount: Int, helperCount: Int, waiterCount: Int
  ) {
    self.server = server
    bypassesCache = server.pointee.image._withUnsafeGuaranteedRef { $0.backing.bypassesCache }
    self.keeperCount = keeperCount
    self.helperCount = helperCount
    self.waiterCount = waiterCount
    threads = .allocate(capacity: keeperCount + helperCount + waiterCount)
  }

  deinit {
    threads.deinitialize(count: count)
    threads.deallocate()
  }

  mutating func add(_ thread: consuming RingThread) {
    (threads + count).initialize(to: thread)
    count += 1
  }

  // MARK: Serving

  /// What thread number `index` does; `stop` becomes readable when it is to end.
  func run(_ index: Int, entries: UnsafeMutableBufferPointer<RingEntry>, stop: Int32) {
    let thread = threads + index
    let ring = thread.pointee.ring
    let error = coffer_ring_start(ring)
    if error != 0 { return fail(error) }
    coffer_ring_watch(ring, stop, Event.stop.rawValue)
    if index < keeperCount {
      _ = coffer_stay_on_processor(UInt32(index))
      for position in entries.indices where entries[position].queue % keeperCount == index {
        let entry = entries.baseAddress! + position
        coffer_ring_register(
          ring, UInt32(entry.pointee.queue), entry.pointee.vectors, tag(entry, .request))
      }
    }
    let bit = helperBit(index)
    withUnsafeTemporaryAllocation(of: coffer_completion.self, capacity: Self.batch) { completions in
      withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<RingEntry>.self, capacity: Self.batch)
      {
        kept in
        var isServing = true
        while isServing {
          if bit != 0 { idleHelpers.bitwiseOr(bit, ordering: .sequentiallyConsistent) }
          let error = coffer_ring_wait(ring)
          if bit != 0 { idleHelpers.bitwiseAnd(~bit, ordering: .sequentiallyConsistent) }
          if error != 0 { return fail(error) }
          let count = coffer_ring_take(ring, completions.baseAddress!, UInt32(Self.batch))
          isServing = serve(completions[..<Int(count)], on: thread, keeping: kept)
        }
      }
    }
  }

  private func fail(_ error: Int32) {
    failure.store(error, ordering: .releasing)
  }

  /// Whether the thread is to go on.
  @inline(__always)
  private func serve(
    _ completions: Slice<UnsafeMutableBufferPointer<coffer_completion>>,
    on thread: UnsafeMutablePointer<RingThread>,
    keeping kept: UnsafeMutableBufferPointer<UnsafeMutablePointer<RingEntry>>
  ) -> Bool {
    let ring = thread.pointee.ring
    let role = role(thread.pointee.index)
    var keptCount = 0
    var hasBig = false
    var hasSmall = false
    for completion in completions {
      let event = Event(rawValue: completion.tag & Event.mask)!
      guard event != .stop,
        let entry = UnsafeMutablePointer<RingEntry>(bitPattern: UInt(completion.tag & ~Event.mask))
      else { return false }
      if event == .request && completion.result < 0 {
        if ![-ENOTCONN, -ECONNABORTED, -ECANCELED, -ENODEV].contains(completion.result) {
          fail(-completion.result)
        }
        return false
      }
      if event == .served {
        commit(entry, on: ring)
        continue
      }
      let request = entry.pointee.request
      if request.byteCount >= Self.bigRequest {
        if hasBig || hasSmall, let helper = takeIdleHelper() {
          coffer_ring_send(ring, threads[helper].ring, tag(entry, .handedOver))
          continue
        }
        hasBig = true
      } else {
        if role != .waiter && request.isSlow {
          coffer_ring_send(ring, threads[someWaiter()].ring, tag(entry, .handedOver))
          continue
        }
        if role == .helper && event == .request && !bypassesCache {
          coffer_ring_send(ring, threads[keeper(of: entry)].ring, tag(entry, .handedOver))
          continue
        }
        hasSmall = true
      }
      kept[keptCount] = entry
      keptCount += 1
    }
    if hasBig { coffer_ring_submit(ring) }
    for entry in kept[..<keptCount] {
      let request = entry.pointee.request
      let isBig = request.byteCount >= Self.bigRequest
      entry.pointee.used = max(entry.pointee.used, max(4096, request.byteCount))
      if role == .keeper, request.operation == FUSE_READ {
        // What waits behind the keeper would wait for the disk, too, and the disk for more to do.
        if !request.serveAtOnce(server, with: thread.pointee.context) {
          if !bypassesCache || keptCount > 1, let helper = takeIdleHelper() {
            coffer_ring_send(ring, threads[helper].ring, tag(entry, .handedOver))
            continue
          }
          request.serve(server, with: thread.pointee.context)
        }
      } else {
        request.serve(server, with: thread.pointee.context)
      }
      if role == .waiter {
        coffer_ring_send(ring, threads[keeper(of: entry)].ring, tag(entry, .served))
      } else {
        commit(entry, on: ring)
      }
      if isBig { coffer_ring_submit(ring) }
    }
    return true
  }

  @inline(__always)
  private func commit(_ entry: UnsafeMutablePointer<RingEntry>, on ring: OpaquePointer) {
    coffer_ring_commit_and_fetch(
      ring, UInt32(entry.pointee.queue), entry.pointee.request.commitID, tag(entry, .request))
  }

  @inline(__always)
  private func tag(_ entry: UnsafeMutablePointer<RingEntry>, _ event: Event) -> UInt64 {
    UInt64(UInt(bitPattern: entry)) | event.rawValue
  }

  // MARK: Who does what

  private enum Role { case keeper, helper, waiter }

  @inline(__always)
  private func role(_ index: Int) -> Role {
    if index < keeperCount { return .keeper }
    return index < keeperCount + helperCount ? .helper : .waiter
  }

  private func helperBit(_ index: Int) -> UInt64 {
    role(index) == .helper ? 1 << UInt64(index - keeperCount) : 0
  }

  @inline(__always)
  private func keeper(of entry: UnsafeMutablePointer<RingEntry>) -> Int {
    entry.pointee.queue % keeperCount
  }

  private func someWaiter() -> Int {
    let number = nextWaiter.wrappingAdd(1, ordering: .relaxed).oldValue
    return keeperCount + helperCount + (number & Int.max) % waiterCount
  }

  /// The number of a helper that had nothing to do; it will be sent something.
  private func takeIdleHelper() -> Int? {
    var idle = idleHelpers.load(ordering: .sequentiallyConsistent)
    while idle != 0 {
      let bit: UInt64 = 1 << UInt64(idle.trailingZeroBitCount)
      idle = idleHelpers.bitwiseAnd(~bit, ordering: .sequentiallyConsistent).oldValue
      if idle & bit != 0 { return keeperCount + bit.trailingZeroBitCount }
    }
    return nil
  }
}
