import DataPlaneTesting
import Glibc
import HostSystem
import SecretMemory
import SectorCipher
import Testing

@testable import BlockImage

struct BlockImageTests {
  static let layouts: [(sectorSize: Int, ivTweak: UInt64)] = [
    (512, 0), (1024, 5), (2048, UInt64.max - 3), (4096, 0), (4096, 12345),
  ]

  /// A long random sequence of requests of any offset and length, against an array.
  @Test(arguments: layouts)
  func behavesLikeAnArray(sectorSize: Int, ivTweak: UInt64) throws {
    var random = SeededGenerator.printingSeed("behavesLikeAnArray(\(sectorSize))")
    let size = 1 << 20
    let file = try TestImage(size: UInt64(size), sectorSize: sectorSize, ivTweak: ivTweak)
    let image = try file.open()
    // Small, so that requests are done in several pieces too.
    let context = try image.makeContext(capacity: 8192)
    var model = [UInt8](repeating: 0, count: size)
    try #require(image.zero(at: 0, count: UInt64(size), with: context) == 0)

    for _ in 0..<3000 {
      let range = random.range(in: size, longest: 60000)
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<5:
        let bytes = random.bytes(range.count)
        let result = bytes.withUnsafeBytes {
          image.write(at: UInt64(range.lowerBound), from: $0, with: context)
        }
        try #require(result == IOResult(count: range.count, error: 0))
        model.replaceSubrange(range, with: bytes)
      case 5..<8:
        try #require(read(image, range, with: context) == model[range])
      case 8:
        try #require(
          image.zero(
            at: UInt64(range.lowerBound), count: UInt64(range.count), with: context) == 0)
        model.replaceSubrange(range, with: repeatElement(0, count: range.count))
      default:
        try #require(image.flush() == 0)
      }
    }
    try #require(read(image, 0..<size, with: context) == model[...])
    let difference = try file.differenceWhenDecryptedIndependently(from: model)
    #expect(difference == nil)
  }

  @Test func readHandsBackUpToTheCapacity() throws {
    let file = try TestImage(size: 65536)
    let image = try file.open()
    let context = try image.makeContext(capacity: 8192)
    for offset in [UInt64(0), 1, 4095, 4096] {
      let (bytes, error) = image.read(at: offset, count: 60000, with: context)
      #expect(error == 0)
      #expect(bytes.count == 8192)
    }
  }

  // MARK: The end of the image

  @Test func readsEndWithTheImage() throws {
    let file = try TestImage(size: 8192)
    let image = try file.open()
    let context = try image.makeContext()
    #expect(image.read(at: 8191, count: 100, with: context).bytes.count == 1)
    for offset in [8192, 8193, UInt64.max] {
      let (bytes, error) = image.read(at: offset, count: 100, with: context)
      #expect(bytes.isEmpty)
      #expect(error == 0)
    }
  }

  @Test func writesStopAtTheEndAndThenFail() throws {
    let file = try TestImage(size: 8192)
    let image = try file.open()
    let context = try image.makeContext()
    let bytes = [UInt8](repeating: 7, count: 10000)
    bytes.withUnsafeBytes { source in
      #expect(image.write(at: 0, from: source, with: context) == IOResult(count: 8192, error: 0))
      #expect(image.write(at: 8000, from: source, with: context) == IOResult(count: 192, error: 0))
      for offset in [8192, UInt64.max] {
        #expect(
          image.write(at: offset, from: source, with: context)
            == IOResult(count: 0, error: ENOSPC))
      }
    }
    #expect(image.zero(at: 8000, count: 300, with: context) == ENOSPC)
    #expect(image.allocate(at: 8000, count: 300, with: context) == ENOSPC)
    #expect(image.zero(at: 8192, count: 0, with: context) == 0)
    var status = stat()
    stat(file.path, &status)
    #expect(status.st_size == 33 * 512 + 8192)
  }

  @Test func allOfTheImageIsData() throws {
    let image = try TestImage(size: 8192).open()
    #expect(image.nextData(from: 5) == 5)
    #expect(image.nextHole(from: 5) == 8192)
    #expect(image.nextData(from: 8192) == nil)
    #expect(image.nextHole(from: 8192) == nil)
  }

  // MARK: Failures

  @Test func aTruncatedImageIsAnInputOutputError() throws {
    let file = try TestImage(size: 65536)
    let image = try file.open()
    let context = try image.makeContext()
    try file.truncate(to: 33 * 512 + 10000)
    #expect(image.read(at: 0, count: 8192, with: context).error == 0)
    #expect(image.read(at: 8192, count: 1, with: context).error == EIO)
    #expect(image.read(at: 0, count: 65536, with: context).error == EIO)
    let byte: [UInt8] = [1]
    let result = byte.withUnsafeBytes { image.write(at: 20000, from: $0, with: context) }
    #expect(result == IOResult(count: 0, error: EIO))
  }

  @Test func aReadOnlyImageRefusesChanges() throws {
    let file = try TestImage(size: 65536)
    let image = try file.open(readOnly: true)
    let context = try image.makeContext()
    let bytes = [UInt8](repeating: 1, count: 4096)
    let result = bytes.withUnsafeBytes { image.write(at: 0, from: $0, with: context) }
    #expect(result == IOResult(count: 0, error: EROFS))
    #expect(image.zero(at: 0, count: 1, with: context) == EROFS)
    #expect(image.allocate(at: 0, count: 1, with: context) == EROFS)
    #expect(image.read(at: 0, count: 1, with: context).error == 0)
    #expect(image.flush() == 0)
  }

  /// fdatasync of a character device fails; what matters is that it is never forgotten.
  @Test func aFailedFlushIsNotForgotten() throws {
    var key = TestImage.keyBytes
    let image = BlockImage(
      descriptor: try .open("/dev/zero", O_RDWR),
      geometry: BlockGeometry(dataOffset: 0, size: 4096, sectorSize: 4096)!,
      cipher: try SectorCipher(key: .taking(&key), sectorSize: 4096), readOnly: false)
    #expect(!image.hasLostWrites)
    #expect(image.flush() == EINVAL)
    #expect(image.hasLostWrites)
    #expect(image.flush() == EIO)
    #expect(image.flush() == EIO)
  }

  @Test func aFullDiskReachesTheWriter() throws {
    let directory = try TemporaryFileSystem(kibibytes: 256)
    let file = try TestImage(size: 1 << 20, in: directory.path)
    let image = try file.open()
    let context = try image.makeContext(capacity: 65536)
    let bytes = [UInt8](repeating: 9, count: 1 << 20)
    let first = bytes.withUnsafeBytes { image.write(at: 0, from: $0, with: context) }
    #expect(first.error == 0)
    #expect(first.count > 0 && first.count < 256 << 10)
    let second = bytes.withUnsafeBytes { source in
      image.write(
        at: UInt64(first.count), from: UnsafeRawBufferPointer(rebasing: source[..<65536]),
        with: context)
    }
    #expect(second == IOResult(count: 0, error: ENOSPC))
    #expect(image.zero(at: 512 << 10, count: 65536, with: context) == ENOSPC)
    #expect(image.allocate(at: 512 << 10, count: 512 << 10, with: context) == ENOSPC)
    // What was written is there.
    #expect(read(image, 0..<first.count, with: context).allSatisfy { $0 == 9 })
  }

  @Test func allocationTakesBlocksAndChangesNothing() throws {
    let file = try TestImage(size: 1 << 20)
    let image = try file.open()
    let context = try image.makeContext()
    let before = read(image, 0..<1 << 20, with: context)
    #expect(image.allocate(at: 100, count: 500_000, with: context) == 0)
    var status = stat()
    stat(file.path, &status)
    #expect(status.st_blocks * 512 >= 500_000)
    #expect(status.st_size == 33 * 512 + 1 << 20)
    #expect(read(image, 0..<1 << 20, with: context) == before)
  }

  @Test func contextsAreGivenBack() throws {
    let image = try TestImage(size: 8192).open()
    for _ in 0..<3 { try takeAll(image, BlockImage.maximumContexts) }
  }

  /// Takes contexts until there are `count`, finds that there are no more, and gives all back.
  private func takeAll(_ image: BlockImage, _ count: Int) throws {
    guard count > 0 else {
      #expect(throws: SystemError.self) { _ = try image.makeContext(capacity: 4096) }
      return
    }
    let context = try image.makeContext(capacity: 4096)
    try takeAll(image, count - 1)
    _ = context.capacity
  }
}

/// The bytes of a range of the image.
func read(
  _ image: BlockImage, _ range: Range<Int>, with context: borrowing IOContext
) -> ArraySlice<UInt8> {
  var bytes = [UInt8](repeating: 0, count: range.count)
  let result = bytes.withUnsafeMutableBytes {
    image.read(at: UInt64(range.lowerBound), into: $0, with: context)
  }
  #expect(result == IOResult(count: range.count, error: 0))
  return bytes[...]
}
