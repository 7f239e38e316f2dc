import DataPlaneTesting
import Glibc
import HostSystem
import Testing

@testable import BlockImage

/// An image through the page cache and past it.
struct BackingTests {
  private static let pastTheCache = BackingOptions(bypassesCache: true)

  /// A long random sequence of requests of any offset and length, against an array; whole sectors also in place.
  @Test(arguments: [
    (512, BackingOptions()), (4096, BackingOptions()), (512, pastTheCache), (4096, pastTheCache),
  ])
  func behavesLikeAnArray(sectorSize: Int, backing: BackingOptions) throws {
    var random = SeededGenerator.printingSeed("behavesLikeAnArray(\(sectorSize), \(backing))")
    let size = 1 << 20
    let file = try TestImage(size: UInt64(size), sectorSize: sectorSize, dataOffset: 8192)
    let image = try file.open(backing: backing)
    let context = try image.makeContext(capacity: 8192)
    var model = [UInt8](repeating: 0, count: size)
    try #require(image.zero(at: 0, count: UInt64(size), with: context) == 0)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 4096)
    defer { buffer.deallocate() }

    for _ in 0..<3000 {
      var range = random.range(in: size, longest: 60000)
      if Bool.random(using: &random) {
        range = range.lowerBound & ~4095..<min(size, (range.upperBound + 4095) & ~4095)
      }
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<range.count])
      let (offset, whole) = (UInt64(range.lowerBound), IOResult(count: range.count, error: 0))
      switch Int.random(in: 0..<6, using: &random) {
      case 0, 1:
        let bytes = random.bytes(range.count)
        part.copyBytes(from: bytes)
        try #require(image.write(at: offset, overwriting: part, with: context) == whole)
        model.replaceSubrange(range, with: bytes)
      case 2, 3:
        try #require(image.read(at: offset, into: part, with: context) == whole)
        try #require(part.elementsEqual(model[range]))
      case 4:
        if let result = image.readAtOnce(at: offset, into: part, with: context) {
          try #require(result == whole)
          try #require(part.elementsEqual(model[range]))
        }
      default:
        try #require(image.zero(at: offset, count: UInt64(range.count), with: context) == 0)
        model.replaceSubrange(range, with: repeatElement(0, count: range.count))
      }
    }
    let difference = try file.differenceWhenDecryptedIndependently(from: model)
    #expect(difference == nil)
  }

  @Test func anImageThatIsNotAlignedCannotBypassTheCache() throws {
    let file = try TestImage(size: 1 << 20, dataOffset: 512)
    #expect(throws: SystemError.self) { _ = try file.open(backing: Self.pastTheCache) }
  }
}
