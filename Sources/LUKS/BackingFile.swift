import Glibc
import HostSystem

/// The file or block device that holds an image, open.
struct BackingFile: ~Copyable {
  /// What the caller called it.
  let path: String
  let isBlockDevice: Bool
  private let descriptor: Descriptor

  /// Opens a regular file or a block device.
  static func open(_ path: String, readOnly: Bool) throws(LUKSError) -> BackingFile {
    // O_NONBLOCK: a FIFO must not make us wait for its other end.
    let descriptor = try opening(path) { () throws(SystemError) in
      try Descriptor.open(path, (readOnly ? O_RDONLY : O_RDWR) | O_NONBLOCK)
    }
    let status = try opening(path) { () throws(SystemError) in try descriptor.status() }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return BackingFile(path: path, isBlockDevice: false, descriptor: descriptor)
    case S_IFBLK:
      if !readOnly, isReadOnly(descriptor) { throw failure("open", path, EROFS) }
      return BackingFile(path: path, isBlockDevice: true, descriptor: descriptor)
    case S_IFDIR: throw notAnImage(path, "it is a directory")
    default: throw notAnImage(path, "it is neither a regular file nor a block device")
    }
  }

  private init(path: String, isBlockDevice: Bool, descriptor: consuming Descriptor) {
    self.path = path
    self.isBlockDevice = isBlockDevice
    self.descriptor = descriptor
  }

  /// Names this very file to libcryptsetup, whatever happens to the path meanwhile.
  var descriptorPath: String { "/proc/self/fd/\(descriptor.rawValue)" }

  /// The length in bytes, now.
  func size() throws(LUKSError) -> UInt64 {
    let end = lseek(descriptor.rawValue, 0, SEEK_END)
    if end < 0 { throw Self.failure("find the size of", path, errno) }
    return UInt64(end)
  }

  /// `count` bytes at `offset`, fewer at the end of the file.
  func read(count: Int, at offset: UInt64) throws(LUKSError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let length = bytes.withUnsafeMutableBytes { buffer in
        pread(
          descriptor.rawValue, buffer.baseAddress! + done, count - done, off_t(offset) + off_t(done)
        )
      }
      if length < 0 && errno == EINTR { continue }
      if length < 0 { throw Self.failure("read", path, errno) }
      if length == 0 { break }
      done += length
    }
    return Array(bytes.prefix(done))
  }

  /// Makes the file `size` bytes long.
  func resize(to size: UInt64) throws(LUKSError) {
    if ftruncate(descriptor.rawValue, off_t(size)) != 0 {
      throw Self.failure("resize", path, errno)
    }
  }

  /// Has the file system set space aside for the first `length` bytes, so that writing them cannot fail
  /// for want of it: libcryptsetup reports a full disk as an I/O error. Not every file system can.
  func reserve(length: UInt64) throws(LUKSError) {
    guard !isBlockDevice else { return }
    var result: Int32
    repeat {
      result = posix_fallocate(descriptor.rawValue, 0, off_t(length))
    } while result == EINTR
    switch result {
    case ENOSPC, EDQUOT, EFBIG:
      throw LUKSError(
        .noSpace, "cannot write the LUKS header of \(path): \(String(cString: strerror(result)))",
        advice: "Free some space.")
    default: return
    }
  }

  /// fsync(2).
  func synchronize() throws(LUKSError) {
    if fsync(descriptor.rawValue) != 0 { throw Self.failure("write", path, errno) }
  }

  /// Whether a block device is read-only; Linux opens it for writing all the same. ioctl BLKROGET of
  /// linux/fs.h, which is `_IO(0x12, 94)`.
  private static func isReadOnly(_ device: borrowing Descriptor) -> Bool {
    var answer: Int32 = 0
    return ioctl(device.rawValue, 0x125E, &answer) == 0 && answer != 0
  }

  private static func opening<Value: ~Copyable>(
    _ path: String, _ body: () throws(SystemError) -> Value
  ) throws(LUKSError) -> Value {
    do throws(SystemError) {
      return try body()
    } catch {
      if error.code == .isDirectory { throw notAnImage(path, "it is a directory") }
      throw failure("open", path, error.code.rawValue)
    }
  }

  private static func failure(_ verb: String, _ path: String, _ number: Int32) -> LUKSError {
    let code =
      number == EDQUOT || number == ENOSPC ? LUKSError.Code.noSpace : .system(errno: number)
    return LUKSError(code, "cannot \(verb) \(path): \(String(cString: strerror(number)))")
  }

  private static func notAnImage(_ path: String, _ reason: String) -> LUKSError {
    LUKSError(.notLUKS, "\(path) is not a LUKS image: \(reason)")
  }
}
