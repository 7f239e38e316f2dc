import Glibc
import SecretMemory
import Testing

func secret(_ text: String) throws -> SecretBytes {
  var bytes = Array(text.utf8)
  return try .taking(&bytes)
}

func text(_ secret: borrowing SecretBytes) -> String {
  secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
}

@Suite struct SecretBytesTests {
  @Test func takingWipesTheOriginal() throws {
    var bytes: [UInt8] = [1, 2, 3]
    let secret = try SecretBytes.taking(&bytes)
    #expect(bytes == [0, 0, 0])
    #expect(secret.withUnsafeBytes { Array($0) } == [1, 2, 3])
  }

  @Test func pagesAreLockedAndNotDumped() throws {
    let secret = try SecretBytes.zeroed(count: 64)
    let address = secret.withUnsafeBytes { UInt(bitPattern: $0.baseAddress!) }
    let flags = try #require(vmFlags(at: address))
    #expect(flags.contains("lo"), "locked")
    #expect(flags.contains("dd"), "excluded from core dumps")
  }

  @Test func comparesAllBytes() throws {
    let a = try secret("abcd")
    let b = try secret("abcd")
    let c = try secret("abce")
    let d = try secret("abc")
    let answers = (a.equals(b), a.equals(c), a.equals(d))
    #expect(answers == (true, false, false))
  }

  @Test func emptySecret() throws {
    let encoded = try SecretBytes.zeroed(count: 0).hexadecimal()
    #expect(encoded.count == 0)
  }

  /// A block keeps its address after free until it is handed out again, so what is left in it shows
  /// whether the process's heap wipes.
  @Test func theHeapForgetsWhatIsFreed() throws {
    let size = 4096
    let block = try #require(malloc(size))
    memset(block, 0x5A, size)
    let address = UInt(bitPattern: block)
    free(block)
    let remains = UnsafeRawBufferPointer(
      start: UnsafeRawPointer(bitPattern: address)! + 64, count: size - 128)
    #expect(!remains.contains(0x5A))
  }
}

private func vmFlags(at address: UInt) -> [Substring]? {
  guard let file = fopen("/proc/self/smaps", "r") else { return nil }
  defer { fclose(file) }
  var inside = false
  var buffer = [CChar](repeating: 0, count: 4096)
  while fgets(&buffer, Int32(buffer.count), file) != nil {
    let line = String(
      decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let head = line.prefix { $0 != " " }.split(separator: "-")
    if head.count == 2, let low = UInt(head[0], radix: 16), let high = UInt(head[1], radix: 16) {
      inside = (low..<high).contains(address)
    } else if inside, line.hasPrefix("VmFlags:") {
      return line.split(whereSeparator: \.isWhitespace)
    }
  }
  return nil
}
