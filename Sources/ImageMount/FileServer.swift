import BlockImage
import CFuse
import Glibc

/// What the callbacks work with: a plain struct behind a pointer, so that a request costs no reference
/// counting.
struct FileServer {
  static let rootInode: fuse_ino_t = 1
  static let fileInode: fuse_ino_t = 2
  /// The one file in the root directory.
  static let fileName = "volume"
  /// Nothing changes behind the kernel's back, so it may keep what it knows for long, in seconds.
  static let cacheTime = 86400.0
  /// The longest read and write, in bytes: shorter ones than the kernel's maximum of 1 MiB spread one big
  /// request over several threads.
  static let maximumRequest = 256 << 10

  let image: Unmanaged<BlockImage>
  let size: UInt64
  let uid: UInt32
  let gid: UInt32
  let readOnly: Bool
  /// Set when the kernel and libfuse have agreed on a protocol.
  var isConnected = false

  /// What INIT asks of the kernel.
  func negotiate(_ connection: UnsafeMutablePointer<fuse_conn_info>) {
    connection.pointee.max_write = UInt32(Self.maximumRequest)
    connection.pointee.max_read = UInt32(Self.maximumRequest)
    connection.pointee.max_background = 64
    connection.pointee.congestion_threshold = 48
    // The times of the image change with every write, which must not drop the page cache; O_TRUNC must
    // arrive as SETATTR, to be refused; splicing does not help where every byte is decrypted.
    connection.pointee.want &= ~UInt32(
      FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_SPLICE_READ
        | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE)
  }

  /// The attributes of the directory or the file; nil for any other inode.
  func attributes(of inode: fuse_ino_t) -> stat? {
    var attributes = stat()
    image._withUnsafeGuaranteedRef { image in
      if let backing = try? image.status() {
        attributes.st_atim = backing.st_atim
        attributes.st_mtim = backing.st_mtim
        attributes.st_ctim = backing.st_ctim
      }
    }
    attributes.st_ino = UInt(inode)
    attributes.st_uid = uid
    attributes.st_gid = gid
    attributes.st_blksize = 4096
    switch inode {
    case Self.rootInode:
      attributes.st_mode = Glibc.S_IFDIR | 0o500
      attributes.st_nlink = 2
    case Self.fileInode:
      attributes.st_mode = Glibc.S_IFREG | (readOnly ? 0o400 : 0o600)
      attributes.st_nlink = 1
      attributes.st_size = off_t(size)
      attributes.st_blocks = blkcnt_t(size / 512)
    default:
      return nil
    }
    return attributes
  }

  /// fallocate(2): 0 or an errno.
  func allocate(
    mode: Int32, offset: off_t, length: off_t, with context: borrowing IOContext
  ) -> Int32 {
    guard offset >= 0, length > 0 else { return EINVAL }
    let keepsSize = mode & FallocateMode.keepSize != 0
    let start = UInt64(offset)
    var count = UInt64(length)
    if start >= size || count > size - start {
      // The size never changes; what would keep it touches nothing beyond the end.
      guard keepsSize else { return ENOSPC }
      if start >= size { return readOnly ? EROFS : 0 }
      count = size - start
    }
    return image._withUnsafeGuaranteedRef { image in
      switch mode & ~FallocateMode.keepSize {
      case 0: image.allocate(at: start, count: count, with: context)
      case FallocateMode.punchHole where keepsSize, FallocateMode.zeroRange:
        image.zero(at: start, count: count, with: context)
      default: EOPNOTSUPP
      }
    }
  }
}

/// The mode bits of fallocate(2) (linux/falloc.h).
private enum FallocateMode {
  static let keepSize: Int32 = 0x01
  static let punchHole: Int32 = 0x02
  static let zeroRange: Int32 = 0x10
}
