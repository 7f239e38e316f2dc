import DataPlaneTesting
import Glibc
import HostSystem
import Testing

@testable import ImageMount

/// What can be chosen about the way of the data.
struct DataPathTests {
  // MARK: The size of the rings

  @Test(arguments: [1, 2, 4, 8, 16, 32, 64, 128, 256])
  func memoryIsBounded(processors: Int) {
    let size = RingSize(processors: processors)
    #expect(size.queueCount == processors)
    #expect(size.entriesPerQueue >= 2)
    #expect(size.byteCount <= RingSize.budget)
    // The kernel demands buffers for a request of 8 KiB at least, in whole pages.
    #expect(size.maximumRequest >= 64 << 10 && size.maximumRequest % 4096 == 0)
  }

  /// The limit that Debian gives to ordinary users.
  @Test(arguments: [1, 2, 4, 8, 16])
  func memoryStaysWithinTheLimitOfLockedMemory(processors: Int) {
    #expect(RingSize(processors: processors, lockable: 8 << 20).byteCount < 8 << 20)
  }

  @Test func listsOfProcessors() {
    #expect(RingSupport.processorCount(inList: "0-3\n") == 4)
    #expect(RingSupport.processorCount(inList: "0\n") == 1)
    #expect(RingSupport.processorCount(inList: "0-1,4-5,9\n") == 5)
    #expect(RingSupport.processorCount(inList: "") == 1)
  }

  // MARK: Caches

  /// Random requests of several programs' kinds, checked by fio, with every combination of caches.
  @Test(
    .eachTransport,
    arguments: [
      ["cache=none"], ["cache=writeback"], ["backing-cache=none"],
      ["cache=none", "backing-cache=none"],
    ])
  func fioVerifies(options: [String]) throws {
    let image = try TestImage(size: 16 << 20, dataOffset: 16384)
    let mount = try FixtureMount(image, options: options)
    for direct in [0, 1] {
      let fio = try Command.run(
        "/usr/bin/fio",
        [
          "--name=verify", "--filename=\(mount.file)", "--rw=randwrite", "--bsrange=4k-512k",
          "--size=16m", "--direct=\(direct)", "--ioengine=libaio", "--iodepth=16",
          "--verify=crc32c",
          "--do_verify=1", "--verify_fatal=1", "--randseed=\(UInt32.random(in: 0 ... .max))",
          "--output-format=terse",
        ])
      #expect(fio.status == 0, "\(fio.output)")
    }
    let ended = try mount.end()
    #expect(ended.status == HostSystem.ExitStatus.exited(0))
    #expect(ended.text == "")
  }

  /// What waits in the write-back cache is in the image after fsync, and after the unmount.
  @Test(.eachTransport, arguments: [true, false])
  func writeBackReachesTheImage(syncs: Bool) throws {
    let size = 1 << 20
    let image = try TestImage(size: UInt64(size))
    let mount = try FixtureMount(image, options: ["cache=writeback"])
    var random = SeededGenerator.printingSeed("writeBackReachesTheImage")
    let bytes = random.bytes(size)
    var file: OpenFile? = try OpenFile(mount.file, O_WRONLY)
    for start in stride(from: 0, to: size, by: 1000) {
      let part = Array(bytes[start..<min(size, start + 1000)])
      #expect(file!.write(part, at: start) == part.count)
    }
    if syncs {
      #expect(fsync(file!.number) == 0)
    } else {
      file = nil
      try mount.end()
    }
    let difference = try image.differenceWhenDecryptedIndependently(from: bytes)
    #expect(difference == nil)
  }

  @Test(.eachTransport)
  func anUncachedFileCanBeMappedShared() throws {
    let mount = try FixtureMount(TestImage(size: 1 << 20), options: ["cache=none"])
    let file = try OpenFile(mount.file, O_RDWR)
    let memory = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.number, 0)
    try #require(memory != MAP_FAILED)
    memory!.storeBytes(of: 42, as: UInt8.self)
    #expect(msync(memory, 4096, MS_SYNC) == 0)
    munmap(memory, 4096)
    #expect(file.read(0..<1) == [42])
  }

  @Test(.eachTransport)
  func punchedHolesReadAsZeros() throws {
    let size = 1 << 20
    let image = try TestImage(size: UInt64(size), dataOffset: 16384)
    let mount = try FixtureMount(image)
    let file = try OpenFile(mount.file, O_RDWR)
    #expect(file.write([UInt8](repeating: 9, count: size), at: 0) == size)
    #expect(file.allocate(mode: punchHole | keepSize, 1000..<size - 1000) == 0)
    let bytes = try #require(file.read(0..<size))
    #expect(bytes.dropFirst(1000).dropLast(1000).allSatisfy { $0 == 0 })
    #expect(bytes.prefix(1000).allSatisfy { $0 == 9 })
  }
}
