import Synchronization

/// Keeps writes of partial sectors apart from every other write of the same sectors, without making
/// writers of whole sectors share anything that changes.
///
/// Every thread has a slot, a cache line pair of its own.
///
/// - A writer of whole sectors publishes its range in its slot and then looks at `gate`. Nothing is in
///   the way while the low half of `gate` is 0, so it goes on; it clears the slot when it is done.
/// - A writer of partial sectors takes the mutex, waits until no other range held under the mutex
///   overlaps, notes its range as held, adds one to `gate`, and waits until no published range overlaps.
/// - A writer of whole sectors that finds `gate` raised takes its publication back and goes through the
///   mutex: it waits for overlapping held ranges to end, and publishes before it leaves the mutex.
///
/// Why two writers of one sector, at least one of them partial, never overlap in time: all accesses to
/// `gate` and to the starts of published ranges are sequentially consistent, so they have one order.
/// A writer W that went on without the mutex published, then read 0 from `gate`; a partial writer P
/// raised `gate`, then read W's slot. If W read 0 before P raised, W's publication precedes P's read:
/// P sees it (or sees that W is done) and waits. Otherwise W sees `gate` raised, and uses the mutex, under
/// which P's range is noted. The end of a range is stored before its start and read after it, so P may
/// pair a start with a later end, but only when the publication it belongs to has been taken back.
///
/// Why no wake-up is lost: W clears its slot, then reads `gate`. Either it is raised, and W broadcasts
/// under the mutex that P holds except while it sleeps; or P raises later and reads the cleared slot.
///
/// A frozen gate is raised too, so that writers meet in the mutex and wait there.
///
/// Readers take no lock. A partial write may change some bytes of a cipher block and keep others,
/// and a reader that saw half of it would decrypt noise in place of bytes that nobody changes. So a
/// reader looks at `gate` before and after (its high half counts the partial writes that began), and
/// where there was one, reads again with its range held.
// @unchecked: `memory` holds atomics, and members that only change with the monitor locked.
struct RangeLocks: ~Copyable, @unchecked Sendable {
  /// How many threads can have a slot.
  static let maximumSlots = 128

  typealias Slot = UnsafeMutablePointer<WriterSlot>

  /// A range that is being written without the mutex, and a range held under it.
  struct WriterSlot: ~Copyable {
    /// The published range in bytes; `idle` while there is none.
    let start = Atomic<UInt64>(idle)
    let end = Atomic<UInt64>(0)
    /// Guarded by the mutex, as all below.
    var heldStart: UInt64 = idle
    var heldEnd: UInt64 = 0
    var heldForWriting = false
    var isTaken = false
  }

  /// What the mutex guards, besides the slots' plain members.
  private struct Shared {
    var slotCount = 0
    var isFrozen = false
  }

  private static let idle = UInt64.max
  private static let lineStride = 128
  private static let firstSlot = 2 * lineStride
  private static let raised: UInt64 = 1 << 32 | 1
  private static let activeMask: UInt64 = 0xFFFF_FFFF

  private let monitor = Monitor()
  private let memory: UnsafeMutableRawPointer

  init() {
    let byteCount = Self.firstSlot + Self.maximumSlots * Self.lineStride
    precondition(MemoryLayout<WriterSlot>.size <= Self.lineStride)
    memory = .allocate(byteCount: byteCount, alignment: Self.lineStride)
    gate.initialize(to: Atomic(0))
    shared.initialize(to: Shared())
    for index in 0..<Self.maximumSlots { slot(index).initialize(to: WriterSlot()) }
  }

  deinit {
    memory.deallocate()
  }

  /// Low half: partial writes and freezes in force. High half: how many there have been, modulo 2^32.
  @inline(__always)
  private var gate: UnsafeMutablePointer<Atomic<UInt64>> {
    memory.assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  private var shared: UnsafeMutablePointer<Shared> {
    (memory + Self.lineStride).assumingMemoryBound(to: Shared.self)
  }

  private func slot(_ index: Int) -> Slot {
    (memory + Self.firstSlot + index * Self.lineStride).assumingMemoryBound(to: WriterSlot.self)
  }

  // MARK: Slots

  /// A slot for one thread; nil when all are taken.
  func takeSlot() -> Slot? {
    monitor.lock()
    defer { monitor.unlock() }
    for index in 0..<Self.maximumSlots where !slot(index).pointee.isTaken {
      slot(index).pointee.isTaken = true
      shared.pointee.slotCount = max(shared.pointee.slotCount, index + 1)
      return slot(index)
    }
    return nil
  }

  func giveBack(_ slot: Slot) {
    monitor.lock()
    slot.pointee.isTaken = false
    monitor.unlock()
  }

  // MARK: Whole sectors

  @inline(__always)
  func beginWhole(_ slot: Slot, _ span: SectorSpan) {
    publish(slot, span)
    if gate.pointee.load(ordering: .sequentiallyConsistent) & Self.activeMask != 0 {
      beginWholeUnderMutex(slot, span)
    }
  }

  @inline(__always)
  func endWhole(_ slot: Slot) {
    slot.pointee.start.store(Self.idle, ordering: .sequentiallyConsistent)
    if gate.pointee.load(ordering: .sequentiallyConsistent) & Self.activeMask != 0 {
      monitor.lock()
      monitor.broadcast()
      monitor.unlock()
    }
  }

  @inline(__always)
  private func publish(_ slot: Slot, _ span: SectorSpan) {
    slot.pointee.end.store(span.end, ordering: .relaxed)
    slot.pointee.start.store(span.start, ordering: .sequentiallyConsistent)
  }

  @inline(never)
  private func beginWholeUnderMutex(_ slot: Slot, _ span: SectorSpan) {
    slot.pointee.start.store(Self.idle, ordering: .sequentiallyConsistent)
    monitor.lock()
    // Someone may be waiting for the publication that was just taken back.
    monitor.broadcast()
    while shared.pointee.isFrozen || isHeld(span, forWritingOnly: true) { monitor.wait() }
    publish(slot, span)
    monitor.unlock()
  }

  // MARK: Partial sectors

  @inline(never)
  func beginPartial(_ slot: Slot, _ span: SectorSpan) {
    monitor.lock()
    while shared.pointee.isFrozen || isHeld(span, forWritingOnly: false) { monitor.wait() }
    hold(slot, span, forWriting: true)
    gate.pointee.wrappingAdd(Self.raised, ordering: .sequentiallyConsistent)
    while isPublished(span) { monitor.wait() }
    monitor.unlock()
    // Readers must see `gate` raised before they can see any of the new bytes.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
  }

  @inline(never)
  func endPartial(_ slot: Slot) {
    monitor.lock()
    slot.pointee.heldStart = Self.idle
    gate.pointee.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    monitor.broadcast()
    monitor.unlock()
  }

  // MARK: Reading

  /// Call it before reading without a lock.
  @inline(__always)
  func readTicket() -> UInt64 {
    gate.pointee.load(ordering: .sequentiallyConsistent)
  }

  /// Whether no partial write was in force or began since the ticket was taken.
  @inline(__always)
  func isUndisturbed(since ticket: UInt64) -> Bool {
    atomicMemoryFence(ordering: .acquiring)
    let now = gate.pointee.load(ordering: .sequentiallyConsistent)
    return now == ticket && ticket & Self.activeMask == 0
  }

  /// Keeps partial writes out of the range; whole-sector writes and other readers may go on.
  @inline(never)
  func beginHeldRead(_ slot: Slot, _ span: SectorSpan) {
    monitor.lock()
    while isHeld(span, forWritingOnly: true) { monitor.wait() }
    hold(slot, span, forWriting: false)
    monitor.unlock()
  }

  @inline(never)
  func endHeldRead(_ slot: Slot) {
    monitor.lock()
    slot.pointee.heldStart = Self.idle
    monitor.broadcast()
    monitor.unlock()
  }

  // MARK: Freezing

  /// Waits for the writes in flight and holds back new ones until `thaw`. A second freeze waits for the
  /// thaw of the first.
  func freeze() {
    monitor.lock()
    while shared.pointee.isFrozen { monitor.wait() }
    shared.pointee.isFrozen = true
    gate.pointee.wrappingAdd(Self.raised, ordering: .sequentiallyConsistent)
    while isAnyWriteInFlight { monitor.wait() }
    monitor.unlock()
  }

  func thaw() {
    monitor.lock()
    precondition(shared.pointee.isFrozen, "thaw without freeze")
    shared.pointee.isFrozen = false
    gate.pointee.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    monitor.broadcast()
    monitor.unlock()
  }

  // MARK: Under the mutex

  private func hold(_ slot: Slot, _ span: SectorSpan, forWriting: Bool) {
    slot.pointee.heldStart = span.start
    slot.pointee.heldEnd = span.end
    slot.pointee.heldForWriting = forWriting
  }

  private func isHeld(_ span: SectorSpan, forWritingOnly: Bool) -> Bool {
    for index in 0..<shared.pointee.slotCount {
      let other = slot(index)
      guard other.pointee.heldStart != Self.idle, other.pointee.heldStart < span.end,
        span.start < other.pointee.heldEnd
      else { continue }
      if other.pointee.heldForWriting || !forWritingOnly { return true }
    }
    return false
  }

  private func isPublished(_ span: SectorSpan) -> Bool {
    for index in 0..<shared.pointee.slotCount {
      let start = slot(index).pointee.start.load(ordering: .sequentiallyConsistent)
      guard start != Self.idle else { continue }
      let end = slot(index).pointee.end.load(ordering: .acquiring)
      if start < span.end && span.start < end { return true }
    }
    return false
  }

  private var isAnyWriteInFlight: Bool {
    for index in 0..<shared.pointee.slotCount {
      let other = slot(index)
      if other.pointee.start.load(ordering: .sequentiallyConsistent) != Self.idle { return true }
      if other.pointee.heldStart != Self.idle && other.pointee.heldForWriting { return true }
    }
    return false
  }
}
