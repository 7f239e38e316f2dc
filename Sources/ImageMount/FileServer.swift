import BlockImage
import CFuse
import Glibc

/// What the file in the mount is and does, whatever way the requests come: a plain struct behind a pointer, so
/// that a request costs no reference counting. Errors are errno values.
struct FileServer {
  static let rootInode: fuse_ino_t = 1
  static let fileInode: fuse_ino_t = 2
  /// The one file in the root directory.
  static let fileName = "volume"
  /// Nothing changes behind the kernel's back, so it may keep what it knows for long, in seconds.
  static let cacheTime = 86400.0
  /// The answer to who tries to make or remove a file: ENOSYS would be a strange one; EPERM is what such calls
  /// return on a file system that does not support them.
  static let refusal = EPERM
  let image: Unmanaged<BlockImage>
  let size: UInt64
  let uid: UInt32
  let gid: UInt32
  let readOnly: Bool
  let cache: ImageMountOptions.Cache
  /// The longest read and write, in bytes: shorter ones than the kernel's maximum of 1 MiB spread one big
  /// request over several threads.
  let maximumRequest: Int
  /// Set when the kernel and libfuse have agreed on a protocol.
  var isConnected = false

  /// What INIT asks of the kernel.
  func negotiate(_ connection: UnsafeMutablePointer<fuse_conn_info>) {
    connection.pointee.max_write = UInt32(maximumRequest)
    connection.pointee.max_read = UInt32(maximumRequest)
    connection.pointee.max_background = 64
    connection.pointee.congestion_threshold = 48
    // The times of the image change with every write, which must not drop the page cache; O_TRUNC must
    // arrive as SETATTR, to be refused; splicing does not help where every byte is decrypted.
    connection.pointee.want &= ~UInt32(
      FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_SPLICE_READ
        | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE)
    if cache == .writeback && !readOnly {
      connection.pointee.want |= connection.pointee.capable & UInt32(FUSE_CAP_WRITEBACK_CACHE)
    }
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

  /// The inode and attributes of a name in a directory; nil where there is none.
  func lookup(_ name: UnsafePointer<CChar>, in directory: fuse_ino_t) -> stat? {
    guard directory == Self.rootInode, strcmp(name, Self.fileName) == 0 else { return nil }
    return attributes(of: Self.fileInode)
  }

  /// What setting attributes comes to. The size, the owner and the mode are what they are; times may be set,
  /// to no effect: they are those of the image.
  ///
  /// - Parameter mask: which ones of `wanted` are to be set, as FATTR_ and FUSE_SET_ATTR_ alike number them.
  func setAttributes(
    of inode: fuse_ino_t, to wanted: WantedAttributes, mask: Int32
  ) -> (attributes: stat, error: Int32) {
    guard let present = attributes(of: inode) else { return (stat(), ENOENT) }
    let refused =
      mask & FUSE_SET_ATTR_SIZE != 0 && wanted.size != present.st_size
      || mask & FUSE_SET_ATTR_MODE != 0 && wanted.mode & 0o7777 != present.st_mode & 0o7777
      || mask & FUSE_SET_ATTR_UID != 0 && wanted.uid != present.st_uid
      || mask & FUSE_SET_ATTR_GID != 0 && wanted.gid != present.st_gid
    return (present, refused ? EPERM : 0)
  }

  /// What open(2) with `flags` gets: FOPEN_ flags for the kernel, or an errno.
  func open(flags: Int32) -> (answer: UInt32, error: Int32) {
    let forWriting = flags & O_ACCMODE != O_RDONLY
    if forWriting && readOnly { return (0, EROFS) }
    if cache == .none { return (OpenAnswer.directIO | OpenAnswer.parallelDirectWrites, 0) }
    // Reading alone gains nothing from the flags, and would lose: the kernel then sends the pieces of a
    // big read one after the other.
    let isDirect = forWriting && flags & directIO != 0
    return (
      OpenAnswer.keepCache
        | (isDirect ? OpenAnswer.directIO | OpenAnswer.parallelDirectWrites : 0), 0
    )
  }

  /// Close needs no disk; but where writes were lost, whoever never calls fsync should hear of it.
  func closed() -> Int32 {
    image._withUnsafeGuaranteedRef { $0.hasLostWrites } ? EIO : 0
  }

  func flush() -> Int32 {
    image._withUnsafeGuaranteedRef { $0.flush() }
  }

  /// lseek(2) with SEEK_DATA or SEEK_HOLE.
  func seek(from offset: Int64, whence: Int32) -> (offset: UInt64, error: Int32) {
    guard offset >= 0 else { return (0, ENXIO) }
    let found: UInt64?
    switch whence {
    case seekData: found = image._withUnsafeGuaranteedRef { $0.nextData(from: UInt64(offset)) }
    case seekHole: found = image._withUnsafeGuaranteedRef { $0.nextHole(from: UInt64(offset)) }
    default: return (0, EINVAL)
    }
    return found.map { ($0, 0) } ?? (0, ENXIO)
  }

  /// Writes the entries of the directory from number `offset` on to the buffer: how many bytes, or an errno.
  func listDirectory(
    _ inode: fuse_ino_t, from offset: Int64, to buffer: UnsafeMutableBufferPointer<CChar>
  ) -> (count: Int, error: Int32) {
    guard inode == Self.rootInode else { return (0, ENOTDIR) }
    let entries = [
      (".", Self.rootInode, Glibc.S_IFDIR), ("..", Self.rootInode, Glibc.S_IFDIR),
      (Self.fileName, Self.fileInode, Glibc.S_IFREG),
    ]
    var used = 0
    for (index, (name, inode, type)) in entries.enumerated() where index >= offset {
      var attributes = stat()
      attributes.st_ino = UInt(inode)
      attributes.st_mode = type
      let room = buffer.count - used
      let needed = fuse_add_direntry(
        nil, buffer.baseAddress! + used, room, name, &attributes, off_t(index + 1))
      if needed > room { break }
      used += needed
    }
    return (used, 0)
  }

  var statistics: statvfs {
    var status = statvfs()
    status.f_bsize = 4096
    status.f_frsize = 4096
    status.f_blocks = UInt(size / 4096)
    status.f_files = 2
    status.f_namemax = 255
    return status
  }

  /// fallocate(2): 0 or an errno.
  func allocate(
    mode: Int32, offset: Int64, length: Int64, with context: borrowing IOContext
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

/// What a SETATTR may ask for.
struct WantedAttributes {
  var size: Int64
  var mode: UInt32
  var uid: UInt32
  var gid: UInt32
}

/// Flags in the answer to OPEN (linux/fuse.h).
private enum OpenAnswer {
  /// No page cache for this descriptor.
  static let directIO: UInt32 = 1 << 0
  /// The page cache outlives the close.
  static let keepCache: UInt32 = 1 << 1
  /// Only honoured together with `directIO`.
  static let parallelDirectWrites: UInt32 = 1 << 6
}

/// The mode bits of fallocate(2) (linux/falloc.h).
private enum FallocateMode {
  static let keepSize: Int32 = 0x01
  static let punchHole: Int32 = 0x02
  static let zeroRange: Int32 = 0x10
}

/// O_DIRECT of open(2), SEEK_DATA and SEEK_HOLE of lseek(2): GNU extensions that are not imported.
private let directIO: Int32 = 0o40000
private let seekData: Int32 = 3
private let seekHole: Int32 = 4
