/// The whole sectors that cover a range of bytes of the decrypted image.
struct SectorSpan: Equatable {
  /// Where the first sector starts, in bytes of the decrypted image.
  let start: UInt64
  /// The length of all the sectors, in bytes.
  let byteCount: Int
  /// How many bytes of the first sector lie before the range.
  let head: Int
  /// How many bytes of the last sector lie after the range.
  let tail: Int

  /// The sectors that `count` bytes from `offset` on touch; `count` is 1 or more.
  @inline(__always)
  init(offset: UInt64, count: Int, sectorSize: Int) {
    let mask = sectorSize &- 1
    head = Int(truncatingIfNeeded: offset) & mask
    start = offset &- UInt64(truncatingIfNeeded: head)
    byteCount = (head &+ count &+ mask) & ~mask
    tail = byteCount &- head &- count
  }

  /// The sectors of as much of a request as `capacity` bytes (a multiple of the sector size) can
  /// hold. Whatever is left of the request then starts on a sector.
  @inline(__always)
  init(offset: UInt64, count: Int, sectorSize: Int, capacity: Int) {
    let head = Int(truncatingIfNeeded: offset) & (sectorSize &- 1)
    self.init(offset: offset, count: min(count, capacity &- head), sectorSize: sectorSize)
  }

  /// How many bytes of the range these sectors hold.
  @inline(__always)
  var count: Int { byteCount &- head &- tail }

  /// Where the last sector ends, in bytes of the decrypted image.
  @inline(__always)
  var end: UInt64 { start &+ UInt64(truncatingIfNeeded: byteCount) }

  /// Whether the range is exactly these sectors.
  @inline(__always)
  var isWhole: Bool { head | tail == 0 }
}
