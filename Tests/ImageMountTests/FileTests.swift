import DataPlaneTesting
import Glibc
import HostSystem
import Synchronization
import Testing

/// The file in the mount as programs see it.
@Suite(.eachTransport)
struct FileTests {
  @Test func looksLikeAFileOfTheRightSize() throws {
    let mount = try FixtureMount(TestImage(size: 1 << 20))
    var status = stat()
    #expect(stat(mount.file, &status) == 0)
    #expect(status.st_size == 1 << 20)
    #expect(status.st_blocks == 2048)
    #expect(status.st_mode == Glibc.S_IFREG | 0o600)
    #expect(status.st_nlink == 1)
    #expect(status.st_blksize == 4096)
    #expect(status.st_mtim.tv_sec > 1_600_000_000)
    let listing = try Command.run("/bin/ls", ["-a", mount.directory])
    #expect(listing.output == ".\n..\nvolume\n")
    var fileSystem = statvfs()
    #expect(statvfs(mount.directory, &fileSystem) == 0)
    #expect(fileSystem.f_blocks == 256)
    let entry = try #require(try MountTable.entry(at: mount.directory))
    #expect(entry.type == "fuse.coffer")
    #expect(entry.source == "fixture,with\\comma")
  }

  @Test func modificationTimeFollowsWrites() throws {
    let mount = try FixtureMount(TestImage(size: 1 << 20))
    let file = try OpenFile(mount.file, O_RDWR)
    var before = stat()
    fstat(file.number, &before)
    usleep(20000)
    #expect(file.write([1], at: 0) == 1)
    var after = stat()
    fstat(file.number, &after)
    #expect(
      (after.st_mtim.tv_sec, after.st_mtim.tv_nsec)
        > (before.st_mtim.tv_sec, before.st_mtim.tv_nsec))
  }

  @Test func changesOfTheFileItselfAreRefused() throws {
    let mount = try FixtureMount(TestImage(size: 1 << 20))
    let path = mount.file
    for size in [0, 4096, 1 << 21] {
      #expect(truncate(path, size) == -1)
      #expect(errno == EPERM)
    }
    #expect(truncate(path, 1 << 20) == 0)
    #expect(open(path, O_RDWR | O_TRUNC) == -1)
    #expect(errno == EPERM)
    #expect(chmod(path, 0o644) == -1)
    #expect(errno == EPERM)
    #expect(chown(path, 1234, 1234) == -1)
    #expect(errno == EPERM)
    #expect(utimensat(AT_FDCWD, path, nil, 0) == 0)
    #expect(unlink(path) == -1)
    #expect(errno == EPERM)
    #expect(rename(path, mount.directory + "/other") == -1)
    #expect(errno == EPERM)
    #expect(mkdir(mount.directory + "/directory", 0o700) == -1)
    #expect(errno == EPERM)
    #expect(open(mount.directory + "/new", O_RDWR | O_CREAT, 0o600) == -1)
    #expect(errno == EPERM)
    #expect(access(mount.directory + "/nothing", F_OK) == -1)
    #expect(errno == ENOENT)
  }

  @Test func theEndOfTheFile() throws {
    let size = 1 << 20
    let mount = try FixtureMount(TestImage(size: UInt64(size)))
    for flags in [O_RDWR, O_RDWR | OpenFile.direct] {
      let file = try OpenFile(mount.file, flags)
      #expect(file.write([1, 2, 3, 4], at: size - 2) == 2)
      #expect(file.write([1], at: size) == -Int(ENOSPC))
      #expect(file.read(size - 2..<size + 10) == [1, 2])
      #expect(file.read(size..<size + 10) == [])
      #expect(file.allocate(mode: 0, size - 10..<size + 10) == ENOSPC)
      #expect(file.allocate(mode: keepSize, size - 10..<size + 10) == 0)
      #expect(file.allocate(mode: zeroRange, size - 10..<size + 10) == ENOSPC)
      #expect(file.allocate(mode: punchHole | keepSize, size - 10..<size + 10) == 0)
      #expect(file.read(size - 2..<size) == [0, 0])
      #expect(file.allocate(mode: 0, 0..<size) == 0)
      // Collapsing a range would change the size.
      #expect(file.allocate(mode: 8, 0..<4096) == EOPNOTSUPP)
      let (seekData, seekHole) = (Int32(3), Int32(4))
      #expect(lseek(file.number, 5, seekData) == 5)
      #expect(lseek(file.number, 5, seekHole) == size)
      #expect(lseek(file.number, size, seekData) == -1)
      #expect(errno == ENXIO)
      #expect(lseek(file.number, size, seekHole) == -1)
      #expect(errno == ENXIO)
    }
    let appending = try OpenFile(mount.file, O_WRONLY | O_APPEND)
    #expect(write(appending.number, "x", 1) == -1)
    #expect(errno == ENOSPC)
    var status = stat()
    stat(mount.file, &status)
    #expect(status.st_size == size)
  }

  @Test func aReadOnlyMountRefusesWrites() throws {
    let mount = try FixtureMount(TestImage(size: 1 << 20), options: ["ro"])
    #expect(open(mount.file, O_RDWR) == -1)
    #expect(errno == EROFS)
    let file = try OpenFile(mount.file, O_RDONLY)
    #expect(file.read(0..<4096)?.count == 4096)
    var status = stat()
    stat(mount.file, &status)
    #expect(status.st_mode & 0o777 == 0o400)
  }

  // MARK: Errors below

  @Test func aFullDiskReachesTheWriter() throws {
    let disk = try TemporaryFileSystem(kibibytes: 512)
    let mount = try FixtureMount(TestImage(size: 4 << 20, in: disk.path))
    for flags in [O_RDWR, O_RDWR | OpenFile.direct] {
      let file = try OpenFile(mount.file, flags)
      var written = 0
      var result = 0
      repeat {
        result = file.write([UInt8](repeating: 5, count: 65536), at: written)
        written += max(0, result)
      } while result > 0
      #expect(result == -Int(ENOSPC))
      #expect(written > 0)
      #expect(file.read(0..<written)?.allSatisfy { $0 == 5 } == true)
    }
  }

  @Test func aTruncatedImageIsAnInputOutputError() throws {
    let image = try TestImage(size: 4 << 20)
    let mount = try FixtureMount(image)
    try image.truncate(to: image.geometry.dataOffset + 1 << 20)
    for flags in [O_RDWR, O_RDWR | OpenFile.direct] {
      let file = try OpenFile(mount.file, flags)
      #expect(file.read(0..<4096)?.count == 4096)
      #expect(file.read(3 << 20..<3 << 20 + 4096) == nil)
      #expect(errno == EIO)
    }
  }

  // MARK: Like a file

  /// A long random sequence through the kernel (the page cache, direct I/O, a shared mapping, fallocate,
  /// fsync) against an array; then mounted again; then decrypted by another implementation.
  @Test(arguments: [(512, 0), (4096, UInt64(77))])
  func behavesLikeAnArray(sectorSize: Int, ivTweak: UInt64) throws {
    var random = SeededGenerator.printingSeed("FileTests.behavesLikeAnArray(\(sectorSize))")
    let size = 2 << 20
    let image = try TestImage(size: UInt64(size), sectorSize: sectorSize, ivTweak: ivTweak)
    var mount: FixtureMount? = try FixtureMount(image)
    var model = [UInt8](repeating: 0, count: size)
    do {
      let buffered = try OpenFile(mount!.file, O_RDWR)
      let direct = try OpenFile(mount!.file, O_RDWR | OpenFile.direct)
      #expect(buffered.allocate(mode: zeroRange, 0..<size) == 0)
      let map = try #require(
        mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, buffered.number, 0))
      try #require(map != MAP_FAILED)
      defer { munmap(map, size) }
      for _ in 0..<1500 {
        let range = random.range(in: size, longest: 400_000)
        // Direct writes go past pages that a mapping may have made dirty; programs that mix the two sync in
        // between, and so does this one.
        let file = Int.random(in: 0..<3, using: &random) == 0 ? direct : buffered
        if file === direct { try #require(msync(map, size, Int32(MS_SYNC)) == 0) }
        switch Int.random(in: 0..<12, using: &random) {
        case 0..<4:
          let bytes = random.bytes(range.count)
          try #require(file.write(bytes, at: range.lowerBound) == range.count)
          model.replaceSubrange(range, with: bytes)
        case 4..<7:
          try #require(file.read(range).map { $0[...] } == model[range])
        case 7:
          let seen = UnsafeRawBufferPointer(start: map + range.lowerBound, count: range.count)
          try #require(seen.elementsEqual(model[range]))
        case 8:
          let bytes = random.bytes(range.count)
          bytes.withUnsafeBytes {
            (map + range.lowerBound).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
          }
          model.replaceSubrange(range, with: bytes)
        case 9:
          let mode = [zeroRange, zeroRange | keepSize, punchHole | keepSize]
            .randomElement(using: &random)!
          try #require(msync(map, size, Int32(MS_SYNC)) == 0)
          try #require(file.allocate(mode: mode, range) == 0)
          model.replaceSubrange(range, with: repeatElement(0, count: range.count))
        case 10:
          try #require(fsync(file.number) == 0)
        default:
          try #require(msync(map, size, Int32(MS_SYNC)) == 0)
          try #require(posix_fadvise(buffered.number, 0, 0, Int32(POSIX_FADV_DONTNEED)) == 0)
        }
      }
      try #require(msync(map, size, Int32(MS_SYNC)) == 0)
      try #require(buffered.read(0..<size) == model)
    }
    let ended = try mount!.end()
    #expect(ended.status == HostSystem.ExitStatus.exited(0))
    #expect(ended.text == "")
    mount = nil

    let again = try FixtureMount(image)
    #expect(try OpenFile(again.file, O_RDONLY).read(0..<size) == model)
    let difference = try image.differenceWhenDecryptedIndependently(from: model)
    #expect(difference == nil)
  }

  /// Threads that share sectors, through the kernel: direct writes run in parallel there.
  @Test func threadsThatShareSectorsLoseNothing() throws {
    let seed = SeededGenerator.printingSeed("FileTests.threadsThatShareSectors").state
    let (threads, width, size) = (6, 100, 16 * 4096)
    let image = try TestImage(size: UInt64(size))
    let mount = try FixtureMount(image)
    let path = mount.file
    let finals = Mutex([UInt8](repeating: 0, count: size))
    let lost = Atomic<Int>(0)
    #expect(try OpenFile(path, O_RDWR).allocate(mode: zeroRange, 0..<size) == 0)
    onThreads(threads) { thread in
      var random = SeededGenerator(seed: seed &+ UInt64(thread))
      let file = try! OpenFile(path, thread < 4 ? O_RDWR | OpenFile.direct : O_RDWR)
      let stripes = stride(from: thread * width, to: size - width, by: threads * width).map { $0 }
      var mine = [Int: [UInt8]]()
      for _ in 0..<800 {
        let start = stripes.randomElement(using: &random)!
        if Bool.random(using: &random) {
          let bytes = random.bytes(width)
          if file.write(bytes, at: start) != width { lost.wrappingAdd(1, ordering: .relaxed) }
          mine[start] = bytes
        } else if let bytes = mine[start], file.read(start..<start + width) != bytes {
          lost.wrappingAdd(1, ordering: .relaxed)
        }
      }
      finals.withLock { model in
        for (start, bytes) in mine { model.replaceSubrange(start..<start + width, with: bytes) }
      }
    }
    #expect(lost.load(ordering: .relaxed) == 0)
    let model = finals.withLock { $0 }
    let difference = try image.differenceWhenDecryptedIndependently(from: model)
    #expect(difference == nil)
  }

  /// fio writes random pieces of 512 bytes to 1 MiB and verifies what it reads back.
  @Test(arguments: [0, 1])
  func fioVerifies(direct: Int) throws {
    let image = try TestImage(size: 48 << 20)
    let mount = try FixtureMount(image)
    let result = try Command.run(
      "/usr/bin/fio",
      [
        "--name=verify", "--filename=\(mount.file)", "--size=12M", "--offset_increment=12M",
        "--numjobs=4", "--rw=randrw", "--blockalign=512",
        "--bssplit=512/20:1536/15:4k/20:20k/20:100k/15:1m/10",
        "--direct=\(direct)", "--ioengine=libaio", "--iodepth=8", "--verify=crc32c",
        "--verify_fatal=1", "--fsync=32", "--allow_file_create=0", "--loops=2",
        "--group_reporting", "--output-format=terse",
      ])
    #expect(result.status == 0, "\(result.output)")
  }
}
