import CSecretMemory
import Glibc
import SecretMemory
import Testing

@Suite struct LeftoversTests {
  /// Fills a frame below the caller's with a pattern and returns where it was.
  @inline(never)
  private func leave(_ pattern: UInt8) -> UInt {
    withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 64) { buffer in
      memset(buffer.baseAddress!, Int32(pattern), buffer.count)
      return UInt(bitPattern: buffer.baseAddress!)
    }
  }

  @Test func theStackIsCleared() {
    let address = leave(0x5A)
    let remains = UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: 1024)
    Leftovers.wipe()
    #expect(!remains.contains(0x5A))
  }
}
