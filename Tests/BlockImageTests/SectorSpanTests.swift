import Testing

@testable import BlockImage

/// The offset arithmetic against its definition, written with division.
struct SectorSpanTests {
  static let sectorSizes = [512, 1024, 2048, 4096]

  /// Every offset in the first two sectors, each with every length up to two sectors and a bit; for the
  /// big sectors the lengths at and around the bounds.
  @Test(arguments: sectorSizes)
  func everyOffsetAndLength(sectorSize: Int) {
    let all = Array(1...2 * sectorSize + 3)
    let lengths =
      sectorSize <= 1024
      ? all
      : all.filter { length in
        let distance = length % sectorSize
        return distance < 20 || distance > sectorSize - 20
      }
    var failures = 0
    for base in [0, UInt64(sectorSize) << 40] {
      for offset in 0...2 * sectorSize + 1 {
        for length in lengths
        where !isRight(base + UInt64(offset), length, sectorSize) {
          failures += 1
        }
      }
    }
    #expect(failures == 0)
  }

  /// Every length at the offsets at and around the bounds, for the big sectors too.
  @Test(arguments: sectorSizes)
  func everyLengthAtTheBounds(sectorSize: Int) {
    var failures = 0
    for bound in [0, sectorSize, 5 * sectorSize] {
      for offset in max(0, bound - 3)...bound + 3 {
        for length in 1...3 * sectorSize + 3
        where !isRight(UInt64(offset), length, sectorSize) {
          failures += 1
        }
      }
    }
    #expect(failures == 0)
  }

  private func isRight(_ offset: UInt64, _ length: Int, _ sectorSize: Int) -> Bool {
    let size = UInt64(sectorSize)
    let span = SectorSpan(offset: offset, count: length, sectorSize: sectorSize)
    let firstSector = offset / size
    let lastSector = (offset + UInt64(length) - 1) / size
    return span.start == firstSector * size
      && span.byteCount == Int(lastSector - firstSector + 1) * sectorSize
      && span.head == Int(offset - firstSector * size)
      && span.tail == Int((lastSector + 1) * size - offset) - length
      && span.count == length && span.end == (lastSector + 1) * size
      && span.isWhole == (offset % size == 0 && length % sectorSize == 0)
  }

  @Test(arguments: sectorSizes)
  func piecesCoverARequestInOrder(sectorSize: Int) {
    let capacity = 2 * 4096
    for offset in [0, 1, 511, 512, 4095, 4096, 5000, 12345] {
      for length in [1, 511, 512, 513, 4096, 8191, 8192, 8193, 20000, 65536] {
        var done = 0
        while done < length {
          let span = SectorSpan(
            offset: UInt64(offset + done), count: length - done, sectorSize: sectorSize,
            capacity: capacity)
          #expect(span.byteCount <= capacity)
          #expect(Int(span.start) + span.head == offset + done)
          done += span.count
          // Only the last piece may end inside of a sector.
          #expect(done == length || span.tail == 0)
        }
        #expect(done == length)
      }
    }
  }

  /// `iv_tweak + n * (sector_size / 512)`.
  @Test func tweaksCountUnitsOf512Bytes() throws {
    for sectorSize in Self.sectorSizes {
      for ivTweak in [0, 7, UInt64.max] {
        let geometry = try #require(
          BlockGeometry(
            dataOffset: 0, size: 1 << 30, sectorSize: sectorSize, ivTweak: ivTweak))
        for sector in [UInt64(0), 1, 2, 1000] {
          let expected = ivTweak &+ sector &* UInt64(sectorSize / 512)
          #expect(geometry.tweak(at: sector * UInt64(sectorSize)) == expected)
        }
      }
    }
  }

  @Test func impossibleGeometriesAreRefused() {
    #expect(BlockGeometry(dataOffset: 0, size: 8192, sectorSize: 4096) != nil)
    #expect(BlockGeometry(dataOffset: 0, size: 0, sectorSize: 4096) != nil)
    #expect(BlockGeometry(dataOffset: 0, size: 8192, sectorSize: 0) == nil)
    #expect(BlockGeometry(dataOffset: 0, size: 8192, sectorSize: 3072) == nil)
    #expect(BlockGeometry(dataOffset: 0, size: 8192, sectorSize: 8192) == nil)
    #expect(BlockGeometry(dataOffset: 0, size: 4608, sectorSize: 4096) == nil)
    #expect(BlockGeometry(dataOffset: 100, size: 4096, sectorSize: 4096) == nil)
    #expect(BlockGeometry(dataOffset: 1 << 63, size: 4096, sectorSize: 4096) == nil)
    #expect(BlockGeometry(dataOffset: 512, size: 1 << 63 - 512, sectorSize: 512) == nil)
    #expect(BlockGeometry(dataOffset: UInt64.max - 511, size: 512, sectorSize: 512) == nil)
  }
}
