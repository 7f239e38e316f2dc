import Glibc
import SecretMemory
import SectorCipher
import Testing

/// Buffers that begin or end at an inaccessible page, and a source that cannot be written: a kernel
/// that touches a byte too many, or stores into the source, ends the process.
@Suite struct GuardPageTests {
  @Test(arguments: Kernel.available, sectorSizes)
  func staysInsideItsBuffers(kernel: Kernel, sectorSize: Int) throws {
    var random = SeededGenerator()
    let key = random.bytes(64)
    let cipher = try SectorCipher(key: secret(key), sectorSize: sectorSize, kernel: kernel)
    for sectorCount in [1, 2, 3, 7, 8, 9, 16, 31, 32, 33] {
      let byteCount = sectorCount * sectorSize
      let data = random.bytes(byteCount)
      let tweak = random.tweak()
      let expected = data.withUnsafeBytes {
        libcryptoXTS(
          $0, key: key, encrypting: true, sectorSize: sectorSize, firstTweak: tweak)
      }
      for edge in [GuardedBuffer.Edge.low, .high] {
        let source = GuardedBuffer(byteCount: byteCount, edge: edge)
        let destination = GuardedBuffer(byteCount: byteCount, edge: edge)
        memcpy(source.start, data, byteCount)
        source.makeReadOnly()
        cipher.encrypt(
          source.start, to: destination.start, byteCount: byteCount, firstTweak: tweak)
        #expect(memcmp(destination.start, expected, byteCount) == 0)
        cipher.decrypt(
          destination.start, to: destination.start, byteCount: byteCount, firstTweak: tweak)
        #expect(memcmp(destination.start, data, byteCount) == 0)
      }
    }
  }

  @Test(arguments: Kernel.available)
  func noSectorsAreNotTouched(kernel: Kernel) throws {
    let cipher = try SectorCipher(
      key: secret(Array(0..<64)), sectorSize: 512, kernel: kernel)
    let inaccessible = GuardedBuffer(byteCount: 0, edge: .low)
    cipher.encrypt(inaccessible.start, to: inaccessible.start, byteCount: 0, firstTweak: 0)
    cipher.decrypt(inaccessible.start, to: inaccessible.start, byteCount: 0, firstTweak: 0)
  }
}

/// Pages between two inaccessible ones.
private final class GuardedBuffer {
  enum Edge {
    case low, high
  }

  private static let page = sysconf(Int32(_SC_PAGESIZE))
  private let mapping: UnsafeMutableRawPointer
  private let usable: Int
  let start: UnsafeMutableRawPointer

  /// `byteCount` bytes that touch the page before or the page after.
  init(byteCount: Int, edge: Edge) {
    usable = (byteCount + Self.page - 1) / Self.page * Self.page
    mapping = mmap(
      nil, usable + 2 * Self.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    precondition(mapping != MAP_FAILED)
    let low = mapping + Self.page
    if usable > 0 { precondition(mprotect(low, usable, PROT_READ | PROT_WRITE) == 0) }
    start = edge == .low ? low : low + usable - byteCount
  }

  func makeReadOnly() {
    precondition(mprotect(mapping + Self.page, usable, PROT_READ) == 0)
  }

  deinit { munmap(mapping, usable + 2 * Self.page) }
}
