import Glibc
import HostSystem
import SecretMemory
import Testing

@testable import LUKS

/// Where in this process's memory a key can be found after use.
@Suite final class KeyRemainsTests {
  private let workspace: Workspace
  private let key: SecretBytes

  init() throws {
    workspace = try Workspace()
    var bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max) }
    key = try ManagedPassphrase.of(key: .taking(&bytes))
  }

  @Test func keysAreInOnePlaceEach() async throws {
    let image = try await LUKSImage.format(
      path: workspace.emptyFile(), size: 4096, managedPassphrase: key, keyID: "k", volumeID: "v")
    let volumeKey = try await image.unlock(passphrase: key)
    _ = try await image.addManagedKeyslot(existing: key, managedPassphrase: key)
    try expectOnePlace(volumeKey.bytes)
    try expectOnePlace(key)
  }

  private func expectOnePlace(_ secret: borrowing SecretBytes) throws {
    let own = secret.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    let found = try secret.withUnsafeBytes { secret throws -> [UInt] in
      try addresses(of: UnsafeRawBufferPointer(rebasing: secret[..<16]))
    }
    #expect(found == [own])
  }

  /// The addresses at which this process's writable memory holds `secret`.
  private func addresses(of secret: UnsafeRawBufferPointer) throws -> [UInt] {
    let memory = try Descriptor.open("/proc/self/mem", O_RDONLY)
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer {
      memset(chunk.baseAddress!, 0, chunk.count)
      chunk.deallocate()
    }
    let buffer = UInt(bitPattern: chunk.baseAddress)
    var found: Set<UInt> = []
    let maps = String(
      decoding: try Descriptor.open("/proc/self/maps", O_RDONLY).readAll(limit: 1 << 24),
      as: UTF8.self)
    for line in maps.split(separator: "\n") {
      let fields = line.split(separator: " ")
      let range = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
      // The shadow memory of a sanitizer spans terabytes.
      guard fields[1].hasPrefix("rw"), range.count == 2, range[1] - range[0] < 1 << 32 else {
        continue
      }
      var start = range[0]
      while start < range[1] {
        let length = min(chunk.count, Int(range[1] - start))
        let read = pread(memory.rawValue, chunk.baseAddress, length, off_t(start))
        var next = 0
        while next + secret.count <= read,
          let hit = memchr(
            chunk.baseAddress! + next, Int32(secret[0]), read - next - secret.count + 1)
        {
          let offset = UInt(bitPattern: hit) - buffer
          let address = start + offset
          let isOurs = (buffer..<buffer + UInt(chunk.count)).contains(address)
          if !isOurs, memcmp(hit, secret.baseAddress!, secret.count) == 0 { found.insert(address) }
          next = Int(offset) + 1
        }
        if length < chunk.count { break }
        start += UInt(chunk.count - secret.count)
      }
    }
    return found.sorted()
  }
}
