import DataPlaneTesting
import Glibc
import Synchronization
import Testing

@testable import BlockImage

struct RangeLocksTests {
  /// What can be asked for, and of what range.
  enum Request: Sendable, CaseIterable {
    case whole, partial, heldRead
  }

  static let pairs = Request.allCases.flatMap { first in
    Request.allCases.map { (first, $0) }
  }

  /// Whether the second must wait for the first when their sectors overlap. Whole-sector writes and reads
  /// are in no order among themselves and with each other.
  private func excludes(_ first: Request, _ second: Request) -> Bool {
    first == .partial || second == .partial
  }

  @Test(arguments: pairs)
  func overlappingRequests(first: Request, second: Request) {
    let overtook = overtakes(first, span(0, 8192), second, span(4096, 4096))
    #expect(overtook == !excludes(first, second))
  }

  @Test(arguments: pairs)
  func disjointRequestsDoNotWait(first: Request, second: Request) {
    let overtook = overtakes(first, span(0, 4096), second, span(4096, 4096))
    #expect(overtook)
  }

  /// Whether `second`, asked for while `first` is in force, is granted before that ends. Where it is, this
  /// waits for it; where it is not, a moment is given it to be granted wrongly.
  private func overtakes(
    _ first: Request, _ firstSpan: SectorSpan, _ second: Request, _ secondSpan: SectorSpan
  ) -> Bool {
    let mayOvertake =
      !excludes(first, second) || firstSpan.end <= secondSpan.start
    let locks = Shared()
    let isGranted = Atomic<Bool>(false)
    let overtook = Atomic<Bool>(false)
    let start = Rendezvous(2)
    onThreads(2) { thread in
      let slot = locks.value.takeSlot()!
      if thread == 0 {
        locks.begin(first, slot, firstSpan)
        start.meet()
        if mayOvertake {
          while !isGranted.load(ordering: .acquiring) { sched_yield() }
        } else {
          usleep(20000)
        }
        overtook.store(isGranted.load(ordering: .acquiring), ordering: .relaxed)
        locks.end(first, slot)
      } else {
        start.meet()
        locks.begin(second, slot, secondSpan)
        isGranted.store(true, ordering: .releasing)
        locks.end(second, slot)
      }
    }
    return overtook.load(ordering: .relaxed)
  }

  @Test(arguments: [Request.whole, .partial])
  func freezeWaitsForWritesInFlight(request: Request) {
    let locks = Shared()
    let isFrozen = Atomic<Bool>(false)
    let overtook = Atomic<Bool>(false)
    let start = Rendezvous(2)
    onThreads(2) { thread in
      if thread == 0 {
        let slot = locks.value.takeSlot()!
        locks.begin(request, slot, span(0, 4096))
        start.meet()
        usleep(20000)
        overtook.store(isFrozen.load(ordering: .acquiring), ordering: .relaxed)
        locks.end(request, slot)
      } else {
        start.meet()
        locks.value.freeze()
        isFrozen.store(true, ordering: .releasing)
        locks.value.thaw()
      }
    }
    let overtakes = overtook.load(ordering: .relaxed)
    #expect(!overtakes)
  }

  @Test func aReaderNoticesEveryPartialWrite() {
    let locks = RangeLocks()
    func isUndisturbed(_ ticket: UInt64) -> Bool { locks.isUndisturbed(since: ticket) }
    let slot = locks.takeSlot()!
    let quiet = locks.readTicket()
    #expect(isUndisturbed(quiet))
    locks.beginPartial(slot, span(0, 4096))
    #expect(!isUndisturbed(quiet))
    let during = locks.readTicket()
    #expect(!isUndisturbed(during))
    locks.endPartial(slot)
    #expect(!isUndisturbed(quiet))
    #expect(!isUndisturbed(during))
    let after = locks.readTicket()
    locks.beginWhole(slot, span(0, 4096))
    locks.endWhole(slot)
    #expect(isUndisturbed(after))
  }

  /// A lock that several threads reach.
  private final class Shared: Sendable {
    let value = RangeLocks()

    func begin(_ request: Request, _ slot: RangeLocks.Slot, _ span: SectorSpan) {
      switch request {
      case .whole: value.beginWhole(slot, span)
      case .partial: value.beginPartial(slot, span)
      case .heldRead: value.beginHeldRead(slot, span)
      }
    }

    func end(_ request: Request, _ slot: RangeLocks.Slot) {
      switch request {
      case .whole: value.endWhole(slot)
      case .partial: value.endPartial(slot)
      case .heldRead: value.endHeldRead(slot)
      }
    }
  }
}

private func span(_ offset: UInt64, _ count: Int) -> SectorSpan {
  SectorSpan(offset: offset, count: count, sectorSize: 4096)
}
