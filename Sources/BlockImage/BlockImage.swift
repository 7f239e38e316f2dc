import CLinux
public import Glibc
public import HostSystem
public import SectorCipher

/// What a read or a write did.
public struct IOResult: Sendable, Equatable {
  /// How many bytes were read or written. Fewer than asked for: the image ends there, or an error came
  /// after them, which the next request will meet (as with write(2)).
  public let count: Int
  /// 0, or the errno; then `count` is 0.
  public let error: Int32
}

/// The decrypted view of an encrypted image: reads and writes of any offset and length.
///
/// Errors are errno values, since all callers answer with them and nothing is allocated or counted on the
/// way. Every thread passes an `IOContext` of its own, made by `makeContext`.
///
/// Reads and writes of the same bytes at the same time are in no order, and a read that meets a write of the
/// same bytes halfway may return neither the old nor the new ones for the 16-byte cipher blocks just being
/// written. Bytes that nobody writes are never disturbed, whatever happens around them.
public final class BlockImage: Sendable {
  /// How many `IOContext`s an image can have at a time.
  public static var maximumContexts: Int { RangeLocks.maximumSlots }

  public let geometry: BlockGeometry
  /// Every change fails with EROFS.
  public let isReadOnly: Bool
  /// How the image is reached.
  public let backing: BackingOptions
  let locks = RangeLocks()
  /// What reads and writes of the image are multiples of, in bytes: the sector size, or more where the page cache
  /// is bypassed. At most 4096.
  private let unit: Int
  /// Whether the kernel can tell that a read would wait for the disk.
  private let knowsWhatIsCached: Bool
  private let descriptor: Descriptor
  private let cipher: SectorCipher
  private let flushes = FlushGroup()

  /// - Parameters:
  ///   - descriptor: the image, a regular file or a block device, open for reading, and for writing unless
  ///     `readOnly`. Not with O_APPEND.
  ///   - cipher: with the volume key, for sectors of `geometry.sectorSize`.
  public convenience init(
    descriptor: consuming Descriptor, geometry: BlockGeometry, cipher: SectorCipher,
    readOnly: Bool
  ) {
    self.init(
      descriptor, geometry, cipher, readOnly: readOnly, BackingOptions(), unit: geometry.sectorSize)
  }

  /// The same with a choice of how the image is reached.
  ///
  /// - Throws: `fcntl` EINVAL where the page cache cannot be bypassed: the file system does not support it, or the
  ///   data are not aligned as it demands.
  public static func open(
    descriptor: consuming Descriptor, geometry: BlockGeometry, cipher: SectorCipher,
    readOnly: Bool, _ backing: BackingOptions
  ) throws(SystemError) -> BlockImage {
    var unit = geometry.sectorSize
    if backing.bypassesCache {
      var alignment: UInt32 = 0
      guard coffer_bypass_page_cache(descriptor.rawValue, &alignment) == 0 else {
        throw .current("fcntl")
      }
      // Who does not tell is content with pages, as far as is known.
      unit = max(unit, alignment == 0 ? 4096 : Int(alignment))
      guard unit <= 4096, geometry.dataOffset % UInt64(unit) == 0,
        geometry.size % UInt64(unit) == 0
      else { throw SystemError(.invalidArgument, call: "fcntl", subject: "O_DIRECT") }
    }
    return BlockImage(descriptor, geometry, cipher, readOnly: readOnly, backing, unit: unit)
  }

  private init(
    _ descriptor: consuming Descriptor, _ geometry: BlockGeometry, _ cipher: SectorCipher,
    readOnly: Bool, _ backing: BackingOptions, unit: Int
  ) {
    precondition(cipher.sectorSize == geometry.sectorSize)
    self.geometry = geometry
    self.cipher = cipher
    self.isReadOnly = readOnly
    self.backing = backing
    self.unit = unit
    var byte: UInt8 = 0
    knowsWhatIsCached =
      !backing.bypassesCache
      && (coffer_read_cached(descriptor.rawValue, &byte, 1, 0) >= 0 || errno == EAGAIN)
    self.descriptor = descriptor
  }

  /// Working memory for one thread.
  ///
  /// - Parameter capacity: in bytes, a multiple of 4096: longer requests are done in pieces.
  /// - Throws: no memory, or EAGAIN with `maximumContexts` in use.
  public func makeContext(capacity: Int = 256 << 10) throws(SystemError) -> IOContext {
    try .make(for: self, capacity: capacity)
  }

  /// fstat(2) of the image.
  public func status() throws(SystemError) -> stat {
    try descriptor.status()
  }

  // MARK: Reading

  /// Reads up to `context.capacity` bytes and hands back where they lie in the context's memory: valid until
  /// its next use. Fewer bytes than asked for at the end of the image, none after it.
  ///
  /// - Returns: the bytes and 0, or none and an errno: EIO where the image is shorter than its header
  ///   promises.
  public func read(
    at offset: UInt64, count: Int, with context: borrowing IOContext
  ) -> (bytes: UnsafeRawBufferPointer, error: Int32) {
    let none = UnsafeRawBufferPointer(start: context.scratch, count: 0)
    let wanted = min(clamp(count, at: offset), context.capacity)
    guard wanted > 0 else { return (none, 0) }
    let span = SectorSpan(offset: offset, count: wanted, sectorSize: unit)
    let error = load(span, to: context.scratch, with: context)
    guard error == 0 else { return (none, error) }
    return (UnsafeRawBufferPointer(start: context.scratch + span.head, count: wanted), 0)
  }

  /// Reads into `target` as much as it holds and the image has: whole sectors straight to where they are
  /// wanted, the rest by way of the context's memory.
  public func read(
    at offset: UInt64, into target: UnsafeMutableRawBufferPointer,
    with context: borrowing IOContext
  ) -> IOResult {
    let wanted = clamp(target.count, at: offset)
    let mask = unit - 1
    var done = 0
    while done < wanted {
      let position = offset &+ UInt64(done)
      let target = target.baseAddress! + done
      let head = Int(truncatingIfNeeded: position) & mask
      let whole = head == 0 ? (wanted - done) & ~mask : 0
      let error: Int32
      let count: Int
      if whole > 0 && isUsable(target) {
        let span = SectorSpan(offset: position, count: whole, sectorSize: unit)
        error = load(span, to: target, with: context)
        count = whole
      } else {
        let bytes: UnsafeRawBufferPointer
        let piece = isUsable(target) ? mask + 1 - head : context.capacity
        (bytes, error) = read(at: position, count: min(wanted - done, piece), with: context)
        count = bytes.count
        if error == 0 { memcpy(target, bytes.baseAddress!, count) }
      }
      if error != 0 { return IOResult(count: done, error: done == 0 ? error : 0) }
      done += count
    }
    return IOResult(count: done, error: 0)
  }

  /// Like `read`, for whole sectors that the page cache holds; nil where it would have to wait for the disk or
  /// for a writer, or the range is not of that kind.
  public func readAtOnce(
    at offset: UInt64, into target: UnsafeMutableRawBufferPointer,
    with context: borrowing IOContext
  ) -> IOResult? {
    guard knowsWhatIsCached else {
      return backing.bypassesCache ? nil : read(at: offset, into: target, with: context)
    }
    guard let memory = target.baseAddress, clamp(target.count, at: offset) == target.count,
      (Int(truncatingIfNeeded: offset) | target.count) & (unit - 1) == 0
    else { return nil }
    let ticket = locks.readTicket()
    let count = coffer_read_cached(
      descriptor.rawValue, memory, target.count, off_t(geometry.dataOffset + offset))
    guard count == target.count, locks.isUndisturbed(since: ticket) else { return nil }
    decrypt(memory, count, at: offset)
    return IOResult(count: count, error: 0)
  }

  /// Whether the image can be read straight into memory there: O_DIRECT wants it aligned.
  @inline(__always)
  private func isUsable(_ memory: UnsafeMutableRawPointer) -> Bool {
    !backing.bypassesCache || Int(bitPattern: memory) & (unit - 1) == 0
  }

  /// Reads the span and decrypts it in memory that has room for it.
  @inline(__always)
  private func load(
    _ span: SectorSpan, to target: UnsafeMutableRawPointer, with context: borrowing IOContext
  ) -> Int32 {
    let ticket = locks.readTicket()
    var error = fetch(span, to: target)
    if !locks.isUndisturbed(since: ticket) {
      locks.beginHeldRead(context.slot, span)
      error = fetch(span, to: target)
      locks.endHeldRead(context.slot)
    }
    if error == 0 { decrypt(target, span.byteCount, at: span.start) }
    return error
  }

  @inline(__always)
  private func fetch(_ span: SectorSpan, to target: UnsafeMutableRawPointer) -> Int32 {
    readFully(descriptor.rawValue, target, span.byteCount, at: geometry.dataOffset + span.start)
  }

  @inline(__always)
  private func decrypt(_ memory: UnsafeMutableRawPointer, _ byteCount: Int, at offset: UInt64) {
    cipher.decrypt(
      memory, to: memory, byteCount: byteCount, firstTweak: geometry.tweak(at: offset))
  }

  // MARK: Writing

  /// Writes all of `source`, or as much as fits before the end of the image.
  ///
  /// - Returns: errors as pwrite(2) has them, before anything was written: ENOSPC also after the end of the
  ///   image, EROFS.
  public func write(
    at offset: UInt64, from source: UnsafeRawBufferPointer, with context: borrowing IOContext
  ) -> IOResult {
    guard let start = source.baseAddress, !source.isEmpty else {
      return IOResult(count: 0, error: 0)
    }
    return store(start, at: offset, count: source.count, with: context)
  }

  /// Like the other `write`, but whole sectors are encrypted where they lie: afterwards the memory holds
  /// ciphertext, or what it held.
  public func write(
    at offset: UInt64, overwriting source: UnsafeMutableRawBufferPointer,
    with context: borrowing IOContext
  ) -> IOResult {
    let span = SectorSpan(offset: offset, count: source.count, sectorSize: unit)
    guard let memory = source.baseAddress, !source.isEmpty, span.isWhole, !isReadOnly,
      isUsable(memory),
      clamp(source.count, at: offset) == source.count
    else { return write(at: offset, from: UnsafeRawBufferPointer(source), with: context) }
    encrypt(UnsafeRawPointer(memory), to: memory, span)
    locks.beginWhole(context.slot, span)
    let (written, error) = put(span, from: memory)
    locks.endWhole(context.slot)
    let done = written & ~15
    return IOResult(count: done, error: done == 0 ? error : 0)
  }

  /// Writes zeros: what punching a hole or zeroing a range comes to.
  ///
  /// A hole in the image would not do. It reads as zero ciphertext, which decrypts to noise, for Coffer as for
  /// dm-crypt. To treat zero ciphertext as zeros would make a private format of it, and would let whoever
  /// can write to the image choose plaintext.
  ///
  /// - Returns: 0 or an errno; the range up to the end of the image is zeroed before ENOSPC.
  public func zero(at offset: UInt64, count: UInt64, with context: borrowing IOContext) -> Int32 {
    var position = offset
    var left = count
    while left > 0 {
      let piece = Int(min(left, UInt64(context.capacity)))
      let result = store(nil, at: position, count: piece, with: context)
      if result.error != 0 { return result.error }
      position += UInt64(result.count)
      left -= UInt64(result.count)
    }
    return 0
  }

  /// Writes `count` bytes from `source`, or zeros where that is nil.
  @inline(__always)
  private func store(
    _ source: UnsafeRawPointer?, at offset: UInt64, count: Int, with context: borrowing IOContext
  ) -> IOResult {
    if isReadOnly { return IOResult(count: 0, error: EROFS) }
    let wanted = clamp(count, at: offset)
    if wanted == 0 { return IOResult(count: 0, error: ENOSPC) }
    var done = 0
    while done < wanted {
      let span = SectorSpan(
        offset: offset + UInt64(done), count: wanted - done, sectorSize: unit,
        capacity: context.scratchSize)
      let piece = source.map { $0 + done }
      let (written, error) =
        span.isWhole
        ? storeWhole(piece, span, with: context) : storePartial(piece, span, with: context)
      // The cipher works on blocks of 16 bytes: what lies in the written ones is new, the rest is old.
      done += max(0, min(written & ~15, span.head + span.count) - span.head)
      if error != 0 { return IOResult(count: done, error: done == 0 ? error : 0) }
    }
    return IOResult(count: done, error: 0)
  }

  /// Encrypts whole sectors and writes them; what was there is not read.
  @inline(__always)
  private func storeWhole(
    _ source: UnsafeRawPointer?, _ span: SectorSpan, with context: borrowing IOContext
  ) -> (written: Int, error: Int32) {
    if source == nil { memset(context.scratch, 0, span.byteCount) }
    encrypt(source ?? UnsafeRawPointer(context.scratch), to: context.scratch, span)
    locks.beginWhole(context.slot, span)
    let result = put(span, from: context.scratch)
    locks.endWhole(context.slot)
    return result
  }

  /// Reads and decrypts the sectors that are written in part, merges, encrypts and writes.
  @inline(never)
  private func storePartial(
    _ source: UnsafeRawPointer?, _ span: SectorSpan, with context: borrowing IOContext
  ) -> (written: Int, error: Int32) {
    locks.beginPartial(context.slot, span)
    defer { locks.endPartial(context.slot) }
    let sector = unit
    let last = span.byteCount - sector
    if span.head > 0 {
      let error = loadSector(context.scratch, at: span.start)
      if error != 0 { return (0, error) }
    }
    if span.tail > 0 && (last > 0 || span.head == 0) {
      let error = loadSector(context.scratch + last, at: span.start + UInt64(last))
      if error != 0 { return (0, error) }
    }
    if let source {
      (context.scratch + span.head).copyMemory(from: source, byteCount: span.count)
    } else {
      memset(context.scratch + span.head, 0, span.count)
    }
    encrypt(UnsafeRawPointer(context.scratch), to: context.scratch, span)
    return put(span, from: context.scratch)
  }

  private func loadSector(_ memory: UnsafeMutableRawPointer, at offset: UInt64) -> Int32 {
    let error = readFully(
      descriptor.rawValue, memory, unit, at: geometry.dataOffset + offset)
    if error == 0 { decrypt(memory, unit, at: offset) }
    return error
  }

  @inline(__always)
  private func encrypt(
    _ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ span: SectorSpan
  ) {
    cipher.encrypt(
      source, to: target, byteCount: span.byteCount, firstTweak: geometry.tweak(at: span.start))
  }

  @inline(__always)
  private func put(_ span: SectorSpan, from memory: UnsafeMutableRawPointer)
    -> (written: Int, error: Int32)
  {
    writeFully(descriptor.rawValue, memory, span.byteCount, at: geometry.dataOffset + span.start)
  }

  /// How much of a request lies in the image.
  @inline(__always)
  private func clamp(_ count: Int, at offset: UInt64) -> Int {
    guard offset < geometry.size else { return 0 }
    return min(count, Int(truncatingIfNeeded: geometry.size - offset))
  }

  // MARK: Space and durability

  /// Gives the range blocks on the disk (fallocate(2) mode 0), so that writing there does not fail for want
  /// of space. The data stay as they are; a block device has its blocks already.
  ///
  /// - Returns: 0 or an errno: ENOSPC also for a range beyond the end of the image, EOPNOTSUPP where the
  ///   file system cannot.
  public func allocate(at offset: UInt64, count: UInt64, with context: borrowing IOContext) -> Int32
  {
    if isReadOnly { return EROFS }
    guard count > 0 else { return EINVAL }
    guard offset <= geometry.size, count <= geometry.size - offset else { return ENOSPC }
    var status = stat()
    guard fstat(descriptor.rawValue, &status) == 0 else { return errno }
    if status.st_mode & S_IFMT == S_IFBLK { return 0 }
    let span = SectorSpan(offset: offset, count: Int(count), sectorSize: geometry.sectorSize)
    locks.beginWhole(context.slot, span)
    defer { locks.endWhole(context.slot) }
    while coffer_allocate_blocks(
      descriptor.rawValue, geometry.dataOffset + span.start, UInt64(span.byteCount)) != 0
    {
      if errno != EINTR { return errno }
    }
    return 0
  }

  /// Returns when everything written before the call is on the disk (fdatasync(2)).
  ///
  /// - Returns: 0 or an errno. After the first failure every later flush fails with EIO: the kernel has
  ///   forgotten which pages it could not write, so nothing can make up for it but detaching.
  public func flush() -> Int32 {
    let number = descriptor.rawValue
    return flushes.run {
      while fdatasync(number) != 0 {
        if errno != EINTR { return errno }
      }
      return 0
    }
  }

  /// Whether a flush has failed.
  public var hasLostWrites: Bool { flushes.hasFailed }

  /// Waits until no write is under way and holds new ones back, until `thaw`. Reads and flushes go on.
  public func freeze() { locks.freeze() }

  /// Ends the freeze; called once for each.
  public func thaw() { locks.thaw() }

  /// lseek(2) with SEEK_DATA: all of the image is data, since a hole in it does not read as zeros.
  /// Nil (ENXIO) at the end and after it.
  public func nextData(from offset: UInt64) -> UInt64? {
    offset < geometry.size ? offset : nil
  }

  /// lseek(2) with SEEK_HOLE: the hole after the end. Nil (ENXIO) at the end and after it.
  public func nextHole(from offset: UInt64) -> UInt64? {
    offset < geometry.size ? geometry.size : nil
  }
}
