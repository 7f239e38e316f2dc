import Testing

@testable import coffer

@Suite struct ByteCountTests {
  @Test(arguments: [
    ("0", 0), ("4096", 4096), ("4096B", 4096), ("1K", 1024), ("512M", 512 << 20), ("10G", 10 << 30),
    ("10GiB", 10 << 30), ("1t", 1 << 40), ("3kB", 3000), ("2GB", 2_000_000_000), ("16P", 16 << 50),
  ])
  func reads(text: String, bytes: UInt64) {
    #expect(ByteCount(argument: text)?.bytes == bytes)
  }

  @Test(arguments: [
    "", "G", "-1", "1.5G", "1X", "1GiBB", " 1", "99999999999999999999", "99999999P",
  ])
  func refuses(text: String) {
    #expect(ByteCount(argument: text) == nil)
  }

  @Test(arguments: [
    (0, "0 B"), (513, "513 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (10 << 30, "10 GiB"),
    ((1 << 40) + (1 << 39), "1.5 TiB"),
  ])
  func writes(bytes: UInt64, text: String) {
    #expect(ByteCount.text(bytes) == text)
  }
}
