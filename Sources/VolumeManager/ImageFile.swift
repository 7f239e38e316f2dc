import Glibc
import HostSystem
import LUKS
import VolumeAPI

/// An image as a worker holds it: open and locked. Its path is not used again for access.
struct ImageFile: ~Copyable {
  let path: String
  let descriptor: Descriptor
  let status: stat

  /// Opens a regular file or a block device for writing, without following a link at the end of `path`.
  /// Nil when there is nothing of that name.
  static func open(_ path: String) throws(VolumeError) -> ImageFile? {
    do throws(SystemError) {
      // O_NONBLOCK: a FIFO must not make us wait for its other end.
      let descriptor = try Descriptor.open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK)
      return try ImageFile(path: path, descriptor: descriptor)
    } catch {
      if error.code == .noSuchFileOrDirectory || error.code == .notDirectory { return nil }
      throw VolumeError("cannot open the image", error)
    }
  }

  /// The image of the pool that the daemon opened. It is opened anew: a lock on the daemon's own open file
  /// description would outlive this process.
  static func inherited(path: String) throws(VolumeError) -> ImageFile {
    try trying("cannot use the image") { () throws(SystemError) in
      try ImageFile(
        path: path,
        descriptor: .open("/proc/self/fd/\(WorkerDescriptor.image)", O_RDWR | O_NONBLOCK))
    }
  }

  /// Makes a file that was not there. `path` is what it will be called.
  static func create(_ name: String, showing path: String) throws(SystemError) -> ImageFile {
    try ImageFile(
      path: path, descriptor: Descriptor.open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW))
  }

  private init(path: String, descriptor: consuming Descriptor) throws(SystemError) {
    self.status = try descriptor.status()
    self.path = path
    self.descriptor = descriptor
  }

  var isDevice: Bool { status.st_mode & S_IFMT == S_IFBLK }
  var isRegular: Bool { status.st_mode & S_IFMT == S_IFREG }

  /// Which file it is: st_dev and st_ino, or 0 and st_rdev for a block device.
  var identity: (device: UInt64, inode: UInt64) {
    isDevice
      ? (0, UInt64(status.st_rdev)) : (UInt64(status.st_dev), UInt64(status.st_ino))
  }

  /// Names this very file, whatever happens to the path meanwhile.
  var descriptorPath: String { "/proc/self/fd/\(descriptor.rawValue)" }

  /// Takes the image's lock until the worker ends. Throws `inUse`.
  borrowing func lock() throws(VolumeError) {
    let locked: Bool
    do {
      locked = try ImageLock.tryLock(descriptor, exclusive: true)
    } catch {
      throw VolumeError("cannot lock \(path)", error)
    }
    guard locked else {
      throw VolumeError(.inUse, "\(path) is in use by another process", advice: "Detach it first.")
    }
  }

  /// Throws `inUse` when a block device is mounted or otherwise held by the kernel.
  borrowing func checkDeviceIsFree() throws(VolumeError) {
    guard isDevice else { return }
    do {
      _ = try Descriptor.open(descriptorPath, O_RDWR | O_EXCL)
    } catch {
      let reason = SystemError(error.code, call: error.call, subject: path)
      throw VolumeError("cannot have the block device for itself", reason)
    }
  }

  /// In bytes.
  borrowing func size() throws(VolumeError) -> UInt64 {
    let end = lseek(descriptor.rawValue, 0, SEEK_END)
    if end < 0 { throw VolumeError("cannot find the size", .current("lseek", path)) }
    return UInt64(end)
  }

  /// `count` bytes at `offset`, fewer at the end.
  borrowing func read(count: Int, at offset: Int) throws(VolumeError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    do throws(SystemError) {
      while done < count {
        let length = try retrying("pread", path) {
          bytes.withUnsafeMutableBytes {
            pread(descriptor.rawValue, $0.baseAddress! + done, count - done, off_t(offset + done))
          }
        }
        if length == 0 { break }
        done += length
      }
    } catch {
      throw VolumeError("cannot read the image", error)
    }
    return Array(bytes.prefix(done))
  }

  /// Overwrites the first `count` bytes, or all when there are fewer, with zeros; on disk on return. The
  /// beginning, which says whose image this is, goes last.
  borrowing func wipe(count: UInt64) throws(VolumeError) {
    let chunk = [UInt8](repeating: 0, count: 1 << 20)
    var rest = min(count, try size())
    while rest > 0 {
      let length = (rest - 1) % UInt64(chunk.count) + 1
      rest -= length
      try write(chunk.prefix(Int(length)), at: rest)
    }
    try synchronize()
  }

  private borrowing func write(
    _ bytes: ArraySlice<UInt8>, at offset: UInt64
  ) throws(VolumeError) {
    try trying("cannot write the image") { () throws(SystemError) in
      var done = 0
      while done < bytes.count {
        done += try retrying("pwrite", path) {
          bytes.withUnsafeBytes {
            pwrite(
              descriptor.rawValue, $0.baseAddress! + done, bytes.count - done,
              off_t(offset) + off_t(done))
          }
        }
      }
    }
  }

  borrowing func synchronize() throws(VolumeError) {
    do throws(SystemError) {
      _ = try retrying("fsync", path) { fsync(descriptor.rawValue) }
    } catch {
      throw VolumeError("cannot write the image", error)
    }
  }

  /// The UUIDs that LUKS headers here carry, also damaged ones: at 168 bytes in the first header, and in
  /// LUKS2's second one, whose place depends on the header's size (LUKS2 On-Disk Format, section 2.1).
  /// In lowercase: libcryptsetup writes them through `uuid_unparse`, which libuuid and Foundation both
  /// have, each in its own case.
  borrowing func headerIDs() throws(VolumeError) -> [String] {
    let first: [UInt8] = Array("LUKS".utf8) + [0xBA, 0xBE]
    let second: [UInt8] = Array("SKUL".utf8) + [0xBA, 0xBE]
    var found: [String] = []
    for offset in [0] + (14...22).map({ 1 << $0 }) {
      let bytes = try read(count: 208, at: offset)
      guard bytes.count == 208, bytes.starts(with: offset == 0 ? first : second) else { continue }
      let id = String(decoding: bytes[168...].prefix { $0 != 0 }, as: UTF8.self).lowercased()
      if !found.contains(id) { found.append(id) }
    }
    return found
  }

  /// Whether this is the image that Coffer made for `volume`: its header's UUID is the volume's ID.
  borrowing func isImage(of volume: VolumeID) throws(VolumeError) -> Bool {
    try headerIDs().contains(volume.description)
  }

  /// Opens it as LUKS.
  @LUKSActor
  borrowing func luks(readOnly: Bool) throws(VolumeError) -> LUKSImage {
    let opened = descriptorPath
    return try calling { () throws(LUKSError) in
      try LUKSImage.open(path: opened, readOnly: readOnly)
    }
  }

  /// Calls the LUKS layer; its errors name the image by its path.
  @LUKSActor
  borrowing func calling<Value: ~Copyable>(
    _ body: () throws(LUKSError) -> Value
  ) throws(VolumeError) -> Value {
    do throws(LUKSError) {
      return try body()
    } catch {
      throw VolumeError(error, openedAs: descriptorPath, path: path)
    }
  }
}
