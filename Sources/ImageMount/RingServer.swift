import BlockImage
import CURing
import Glibc
import HostSystem

/// FUSE over io_uring: the kernel puts a request into an entry of the queue that belongs to the processor where it
/// arises, and a thread of ours takes it from there.
///
/// Three kinds of threads, each with a ring of its own:
///
/// - A *keeper* for every processor, which stays there: whoever waits for a small request is then woken
///   without another processor's help, which is most of what io_uring gains. The entries of a queue are its
///   keeper's at first.
/// - *Helpers*, on whatever processor is free. A thread that finds several big requests at a time keeps
///   one and sends the others to helpers that have nothing to do. An entry belongs to the thread that commits it:
///   the copies between the buffers and the program's memory are made there, and the entry's next request
///   arrives there. So a stream of big requests spreads over the processors and stays spread. A helper sends small
///   requests back to the keeper, and the entry with them.
/// - *Waiters*, for what waits for the disk by its nature (fsync, fallocate). They own no entry, so that nothing
///   waits behind them: when they are done they send the entry to its keeper, who commits it.
///
/// FORGET and INTERRUPT still come through /dev/fuse.
// @unchecked: everything is made before the threads start; after that each thread changes only its own
// `RingThread` and the entries that it holds, and the rest of `RingTeam` is atomic.
final class RingServer: @unchecked Sendable {
  private let memory: RingMemory
  private let team: UnsafeMutablePointer<RingTeam>
  private let stopping: Pipe

  /// Whether all memory that plaintext passes through is locked.
  let isLocked: Bool
  /// How much that is, in bytes.
  let lockedSize: Int
  var threadCount: Int { team.pointee.count }
  /// Becomes readable when the threads are to end.
  var stopDescriptor: Int32 { stopping.reader.rawValue }
  /// What a ring failed with, other than the end of the connection; 0 for nothing.
  var failure: Int32 { team.pointee.failure.load(ordering: .acquiring) }

  private static let waiterCount = 2
  private static let maximumKeepers = 64

  /// - Parameters:
  ///   - connection: the FUSE connection, on which nothing has been negotiated yet.
  ///   - processors: how many are online.
  /// - Throws: what keeps the rings from being made: an errno of io_uring_setup(2) or mmap(2).
  init(
    _ size: RingSize, server: UnsafeMutablePointer<FileServer>, image: BlockImage,
    connection: Int32, processors: Int
  ) throws(SystemError) {
    guard let memory = RingMemory(size) else { throw .current("mmap") }
    stopping = try Pipe.make()
    let keepers = min(processors, size.queueCount, Self.maximumKeepers)
    // As many requests can wait for the disk, besides the keepers' own.
    let helpers = image.backing.bypassesCache ? 16 : 8
    let team = UnsafeMutablePointer<RingTeam>.allocate(capacity: 1)
    team.initialize(
      to: RingTeam(
        server: server, keeperCount: keepers, helperCount: helpers, waiterCount: Self.waiterCount))
    var isLocked = memory.isLocked
    var lockedSize = size.byteCount
    do {
      for index in 0..<keepers + helpers + Self.waiterCount {
        let isWaiter = index >= keepers + helpers
        let capacity = isWaiter ? 256 << 10 : 16 << 10
        let context = try image.makeContext(capacity: capacity)
        isLocked = isLocked && context.isLocked
        lockedSize += capacity + 2 * 4096
        guard let ring = coffer_ring_open(64, connection, -1) else {
          throw SystemError.current("io_uring_setup")
        }
        team.pointee.add(RingThread(index: index, ring: ring, context: context))
      }
    } catch {
      team.deinitialize(count: 1)
      team.deallocate()
      throw error as! SystemError
    }
    self.memory = memory
    self.team = team
    self.isLocked = isLocked
    self.lockedSize = lockedSize
  }

  deinit {
    team.deinitialize(count: 1)
    team.deallocate()
  }

  /// What thread number `index` does, until the connection ends or `stop`.
  func run(_ index: Int) {
    team.pointee.run(index, entries: memory.entries, stop: stopDescriptor)
  }

  /// Makes all threads end.
  func stop() {
    var byte: UInt8 = 0
    while write(stopping.writer.rawValue, &byte, 1) < 0 && errno == EINTR {}
  }
}
