import DataPlaneTesting
import Glibc
import Synchronization
import Testing

@testable import BlockImage

struct ConcurrencyTests {
  /// Each thread owns stripes of an odd width, many to a sector; nobody else writes their bytes, so each
  /// must always read back what it wrote, whatever goes on in the rest of the sector and of the cipher block.
  @Test(arguments: [512, 4096])
  func threadsThatShareSectorsLoseNothing(sectorSize: Int) throws {
    let seed = SeededGenerator.printingSeed("threadsThatShareSectors(\(sectorSize))").seeds()
    let (threads, width, size) = (8, 37, 8 * 4096)
    let file = try TestImage(size: UInt64(size), sectorSize: sectorSize)
    let image = try file.open()
    let finals = Mutex([UInt8](repeating: 0, count: size))
    let lost = Atomic<Int>(0)
    do {
      let context = try image.makeContext()
      _ = image.zero(at: 0, count: UInt64(size), with: context)
    }
    onThreads(threads) { thread in
      var random = SeededGenerator(seed: seed[thread])
      let context = try! image.makeContext(capacity: 8192)
      var mine = [Int: [UInt8]]()
      let stripes = stride(from: thread * width, to: size - width, by: threads * width).map { $0 }
      for _ in 0..<2500 {
        let start = stripes.randomElement(using: &random)!
        if Bool.random(using: &random) {
          let bytes = random.bytes(width)
          let result = bytes.withUnsafeBytes {
            image.write(at: UInt64(start), from: $0, with: context)
          }
          if result != IOResult(count: width, error: 0) {
            lost.wrappingAdd(1, ordering: .relaxed)
          }
          mine[start] = bytes
        } else if let bytes = mine[start] {
          let (seen, error) = image.read(at: UInt64(start), count: width, with: context)
          if error != 0 || !seen.elementsEqual(bytes) { lost.wrappingAdd(1, ordering: .relaxed) }
        }
      }
      finals.withLock { model in
        for (start, bytes) in mine { model.replaceSubrange(start..<start + width, with: bytes) }
      }
    }
    #expect(lost.load(ordering: .relaxed) == 0)
    let model = finals.withLock { $0 }
    let difference = try file.differenceWhenDecryptedIndependently(from: model)
    #expect(difference == nil)
  }

  /// One thread writes whole sectors, others change a few bytes of them: what lies outside of those bytes must
  /// be the whole write's, never something older that a partial write had read.
  @Test func partialWritesUndoNoWholeWrite() throws {
    var random = SeededGenerator.printingSeed("partialWritesUndoNoWholeWrite")
    let sector = 4096
    let rounds = 3000
    let file = try TestImage(size: UInt64(4 * sector))
    let image = try file.open()
    let ranges = [0..<2 * sector, 1096..<1596, 6192..<6692]
    let start = Rendezvous(3)
    let lost = Atomic<Int>(0)
    let delays = (0..<rounds).map { _ in
      (0..<3).map { _ in Int.random(in: 0..<300, using: &random) }
    }
    onThreads(3) { thread in
      let context = try! image.makeContext(capacity: 16384)
      for round in 0..<rounds {
        start.meet()
        for _ in 0..<delays[round][thread] { atomicMemoryFence(ordering: .acquiring) }
        let value = UInt8(truncatingIfNeeded: round)
        let range = ranges[thread]
        let bytes = [UInt8](repeating: thread == 0 ? value : 255, count: range.count)
        _ = bytes.withUnsafeBytes {
          image.write(at: UInt64(range.lowerBound), from: $0, with: context)
        }
        start.meet()
        guard thread == 0 else { continue }
        let (seen, error) = image.read(at: 0, count: 2 * sector, with: context)
        let isRight = seen.enumerated().allSatisfy { index, byte in
          byte == value || byte == 255 && ranges[1...].contains { $0.contains(index) }
        }
        if error != 0 || !isRight { lost.wrappingAdd(1, ordering: .relaxed) }
      }
    }
    #expect(lost.load(ordering: .relaxed) == 0)
  }

  /// Writers of whole sectors, of partial ones and of both, each on a region of its own or shared by the byte.
  @Test(arguments: [512, 2048])
  func disjointRegionsStayApart(sectorSize: Int) throws {
    let seed = SeededGenerator.printingSeed("disjointRegions(\(sectorSize))").seeds()
    let threads = 6
    // No multiple of a sector: neighbours share one.
    let region = 50_001
    let size = (threads * region + 4095) / 4096 * 4096
    let file = try TestImage(size: UInt64(size), sectorSize: sectorSize, ivTweak: 99)
    let image = try file.open()
    do {
      let context = try image.makeContext()
      _ = image.zero(at: 0, count: UInt64(size), with: context)
    }
    let finals = Mutex([UInt8](repeating: 0, count: size))
    let wrong = Atomic<Int>(0)
    onThreads(threads) { thread in
      var random = SeededGenerator(seed: seed[thread])
      let context = try! image.makeContext(capacity: 16384)
      let base = thread * region
      var model = [UInt8](repeating: 0, count: region)
      for _ in 0..<1200 {
        let range = random.range(in: region, longest: region)
        let offset = UInt64(base + range.lowerBound)
        switch Int.random(in: 0..<4, using: &random) {
        case 0, 1:
          let bytes = random.bytes(range.count)
          let result = bytes.withUnsafeBytes { image.write(at: offset, from: $0, with: context) }
          if result.count != range.count { wrong.wrappingAdd(1, ordering: .relaxed) }
          model.replaceSubrange(range, with: bytes)
        case 2:
          if image.zero(at: offset, count: UInt64(range.count), with: context) != 0 {
            wrong.wrappingAdd(1, ordering: .relaxed)
          }
          model.replaceSubrange(range, with: repeatElement(0, count: range.count))
        default:
          var bytes = [UInt8](repeating: 0, count: range.count)
          let result = bytes.withUnsafeMutableBytes {
            image.read(at: offset, into: $0, with: context)
          }
          if result.count != range.count || bytes[...] != model[range] {
            wrong.wrappingAdd(1, ordering: .relaxed)
          }
        }
      }
      finals.withLock { $0.replaceSubrange(base..<base + region, with: model) }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
    let model = finals.withLock { $0 }
    let difference = try file.differenceWhenDecryptedIndependently(from: model)
    #expect(difference == nil)
  }

  @Test func nothingIsWrittenWhileFrozen() throws {
    let file = try TestImage(size: 64 << 10)
    let image = try file.open()
    let stop = Atomic<Bool>(false)
    let writes = Atomic<Int>(0)
    let changes = Atomic<Int>(0)
    onThreads(5) { thread in
      let context = try! image.makeContext()
      guard thread == 0 else {
        var random = SeededGenerator(seed: UInt64(thread))
        while !stop.load(ordering: .relaxed) {
          // Two threads write whole sectors, two write parts.
          let unit = thread < 3 ? 4096 : 100
          let offset = Int.random(in: 0..<15, using: &random) * unit
          let bytes = random.bytes(unit)
          _ = bytes.withUnsafeBytes { image.write(at: UInt64(offset), from: $0, with: context) }
          writes.wrappingAdd(1, ordering: .relaxed)
        }
        return
      }
      for _ in 0..<20 {
        image.freeze()
        let before = Array(read(image, 0..<64 << 10, with: context))
        usleep(3000)
        if Array(read(image, 0..<64 << 10, with: context)) != before {
          changes.wrappingAdd(1, ordering: .relaxed)
        }
        let count = writes.load(ordering: .relaxed)
        image.thaw()
        // Those that were held back go on.
        while writes.load(ordering: .relaxed) < count + 20 { usleep(100) }
      }
      stop.store(true, ordering: .relaxed)
    }
    #expect(changes.load(ordering: .relaxed) == 0)
  }

  @Test func concurrentFlushesShareOneAndItsFailure() {
    let group = FlushGroup()
    let calls = Atomic<Int>(0)
    let failures = Atomic<Int>(0)
    onThreads(8) { _ in
      for _ in 0..<50 {
        let error = group.run {
          calls.wrappingAdd(1, ordering: .relaxed)
          usleep(200)
          return 0
        }
        if error != 0 { failures.wrappingAdd(1, ordering: .relaxed) }
      }
    }
    #expect(failures.load(ordering: .relaxed) == 0)
    #expect(calls.load(ordering: .relaxed) < 400)

    // All who wait for the flush that fails are told, with its reason or as a later call.
    onThreads(8) { _ in
      let error = group.run {
        usleep(2000)
        return ENOSPC
      }
      if error == ENOSPC || error == EIO { failures.wrappingAdd(1, ordering: .relaxed) }
    }
    #expect(failures.load(ordering: .relaxed) == 8)
    #expect(group.run { 0 } == EIO)
  }
}

extension SeededGenerator {
  /// Seeds for threads.
  func seeds() -> [UInt64] {
    var generator = self
    return (0..<16).map { _ in generator.next() }
  }
}
