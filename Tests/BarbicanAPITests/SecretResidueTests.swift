import BarbicanAPI
import FakeServer
import Glibc
import KeyManager
import SecretMemory
import Testing

private let mask: UInt8 = 0xA5
/// The key as the test keeps it: each byte changed, so that a search of the memory does not find this.
/// The first is not zero, which makes the search fast.
private let masked: [UInt8] = [1 ^ mask] + (1..<32).map { _ in UInt8.random(in: .min ... .max) }
private let id = KeyID("cba33429-08c9-44cd-abac-d814d1c5f966")!

/// How often the key lies in this process's memory.
///
/// The needle and the window have pages of their own, which are passed over.
private func occurrences() throws -> Int {
  let window = 1 << 20
  let own = mmap(
    nil, window + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
  defer { munmap(own, window + 4096) }
  let needle = own + window
  for (index, byte) in masked.enumerated() {
    needle.storeBytes(of: byte ^ mask, toByteOffset: index, as: UInt8.self)
  }
  let memory = open("/proc/self/mem", O_RDONLY)
  defer { close(memory) }
  var count = 0
  for region in try writableRegions() {
    var start = region.lowerBound
    while start < region.upperBound {
      if start == UInt(bitPattern: own) {
        start += UInt(window) + 4096
        continue
      }
      // Neighbouring mappings are one region: stop before the pages of our own.
      let limit =
        start < UInt(bitPattern: own)
        ? min(region.upperBound, UInt(bitPattern: own)) : region.upperBound
      let wanted = min(window, Int(limit - start))
      let length = pread(memory, own, wanted, off_t(start))
      guard length > 0 else { break }
      var rest = UnsafeRawPointer(own)
      let end = UnsafeRawPointer(own) + length
      while end - rest >= masked.count,
        let found = memchr(rest, Int32(masked[0] ^ mask), end - rest - masked.count + 1)
      {
        if memcmp(found, needle, masked.count) == 0 { count += 1 }
        rest = UnsafeRawPointer(found) + 1
      }
      // Windows overlap, so that nothing hides on a border.
      start += length < window ? UInt(length) : UInt(length - masked.count)
    }
  }
  return count
}

private func writableRegions() throws -> [Range<UInt>] {
  var text: [UInt8] = []
  let file = open("/proc/self/maps", O_RDONLY)
  defer { close(file) }
  var buffer = [UInt8](repeating: 0, count: 65536)
  while case let length = read(file, &buffer, buffer.count), length > 0 {
    text += buffer[..<length]
  }
  return try String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap { line in
    let words = line.split(separator: " ")
    guard words[1].hasPrefix("rw") else { return nil }
    let bounds = words[0].split(separator: "-").map { UInt($0, radix: 16) }
    return try #require(bounds[0])..<#require(bounds[1])
  }
}

@Suite struct SecretResidueTests {
  @Test func nothingOfAKeyStaysInMemory() async throws {
    let document =
      #"{"created":"2026-11-21T02:33:23","updated":"2026-11-21T02:33:23","status":"ACTIVE","#
      + #""name":null,"secret_type":"symmetric","expiration":null,"algorithm":null,"#
      + #""bit_length":null,"mode":null,"creator_id":null,"#
      + #""content_types":{"default":"application/octet-stream"},"#
      + #""secret_ref":"http://localhost/v1/secrets/\#(id)"}"#
    try await withServer({ request in
      switch request.method {
      case "GET" where request.target.hasSuffix("/payload"):
        .answer(200, type: "application/octet-stream", masked.map { $0 ^ mask })
      default: .json(200, document)
      }
    }) { server in
      let client = BarbicanClient(HTTPTransport(.unixSocket(server.path)))
      let context = RequestContext.local(uid: 1000)
      let key = try await client.get(id, context: context)
      let held = try occurrences()
      #expect(held == 1, "the key itself is found, and no copy")
      drop(key)
      let left = try occurrences()
      #expect(left == 0)
      withExtendedLifetime(client) {}
    }
  }
}

private func drop(_ key: consuming Key) {}
