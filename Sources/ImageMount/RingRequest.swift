import BlockImage
import CFuse
import CURing
import Glibc

/// A request in a ring entry: where its parts lie, and what its answer needs.
struct RingRequest {
  /// A `fuse_uring_req_header`.
  let header: UnsafeMutableRawPointer
  /// The request's data, then the answer's; page-aligned.
  let payload: UnsafeMutableRawPointer
  /// What the payload has room for, in bytes.
  let payloadSize: Int

  private static let operationOffset = MemoryLayout<fuse_uring_req_header>.offset(of: \.op_in)!
  private static let entryOffset = MemoryLayout<fuse_uring_req_header>.offset(
    of: \.ring_ent_in_out)!

  @inline(__always)
  private var input: fuse_in_header { header.load(as: fuse_in_header.self) }
  /// What is asked for.
  @inline(__always)
  var operation: fuse_opcode { fuse_opcode(rawValue: input.opcode) }
  @inline(__always)
  var inode: fuse_ino_t { input.nodeid }

  private var entry: UnsafeMutablePointer<fuse_uring_ent_in_out> {
    (header + Self.entryOffset).assumingMemoryBound(to: fuse_uring_ent_in_out.self)
  }

  /// Names the request when it is answered.
  @inline(__always)
  var commitID: UInt64 { entry.pointee.commit_id }
  /// How many bytes of data came with the request.
  @inline(__always)
  var dataSize: Int { min(Int(entry.pointee.payload_sz), payloadSize) }

  /// The operation's first argument.
  @inline(__always)
  func argument<Argument: BitwiseCopyable>(_ type: Argument.Type) -> Argument {
    (header + Self.operationOffset).load(as: type)
  }

  /// How many bytes a READ or WRITE is about; 0 for anything else.
  @inline(__always)
  var byteCount: Int {
    switch operation {
    case FUSE_READ: Int(argument(fuse_read_in.self).size)
    case FUSE_WRITE: dataSize
    default: 0
    }
  }

  /// Whether it waits for the disk as a matter of course, or may take long.
  @inline(__always)
  var isSlow: Bool { operation == FUSE_FSYNC || operation == FUSE_FALLOCATE }

  /// Writes the answer's header: `count` bytes of the payload belong to the answer, or an errno.
  @inline(__always)
  func finish(_ count: Int, error: Int32 = 0) {
    let unique = input.unique
    let size = error == 0 ? UInt32(count) : 0
    header.storeBytes(
      of: fuse_out_header(
        len: UInt32(MemoryLayout<fuse_out_header>.size) + size, error: -error, unique: unique),
      as: fuse_out_header.self)
    entry.pointee.payload_sz = size
  }

  private func finish<Answer: BitwiseCopyable>(_ answer: Answer) {
    payload.storeBytes(of: answer, as: Answer.self)
    finish(MemoryLayout<Answer>.size)
  }
}

extension RingRequest {
  /// Does what the request asks for and writes the answer, which `commit` then sends.
  @inline(__always)
  func serve(_ server: UnsafeMutablePointer<FileServer>, with context: borrowing IOContext) {
    switch operation {
    case FUSE_READ:
      let wanted = argument(fuse_read_in.self)
      let target = UnsafeMutableRawBufferPointer(
        start: payload, count: min(Int(wanted.size), payloadSize))
      let result = server.pointee.image._withUnsafeGuaranteedRef {
        $0.read(at: wanted.offset, into: target, with: context)
      }
      finish(result.count, error: result.error)
    case FUSE_WRITE:
      let data = UnsafeMutableRawBufferPointer(start: payload, count: dataSize)
      let offset = argument(fuse_write_in.self).offset
      let result = server.pointee.image._withUnsafeGuaranteedRef {
        $0.write(at: offset, overwriting: data, with: context)
      }
      if result.error != 0 {
        finish(0, error: result.error)
      } else {
        finish(fuse_write_out(size: UInt32(result.count), padding: 0))
      }
    default: serveOther(server, with: context)
    }
  }

  /// Serves a READ if that needs no waiting; false where nothing was done.
  @inline(__always)
  func serveAtOnce(_ server: UnsafeMutablePointer<FileServer>, with context: borrowing IOContext)
    -> Bool
  {
    let wanted = argument(fuse_read_in.self)
    let target = UnsafeMutableRawBufferPointer(
      start: payload, count: min(Int(wanted.size), payloadSize))
    let result = server.pointee.image._withUnsafeGuaranteedRef {
      $0.readAtOnce(at: wanted.offset, into: target, with: context)
    }
    guard let result else { return false }
    finish(result.count, error: result.error)
    return true
  }

  @inline(never)
  private func serveOther(
    _ server: UnsafeMutablePointer<FileServer>, with context: borrowing IOContext
  ) {
    switch operation {
    case FUSE_LOOKUP: serveLookup(server)
    case FUSE_GETATTR:
      if let attributes = server.pointee.attributes(of: inode) {
        finish(fuse_attr_out(attributes))
      } else {
        finish(0, error: ENOENT)
      }
    case FUSE_SETATTR:
      let wanted = argument(fuse_setattr_in.self)
      let (attributes, error) = server.pointee.setAttributes(
        of: inode,
        to: WantedAttributes(
          size: Int64(bitPattern: wanted.size), mode: wanted.mode, uid: wanted.uid, gid: wanted.gid),
        mask: Int32(truncatingIfNeeded: wanted.valid))
      if error == 0 { finish(fuse_attr_out(attributes)) } else { finish(0, error: error) }
    case FUSE_OPEN:
      let flags = Int32(truncatingIfNeeded: argument(fuse_open_in.self).flags)
      let (answer, error) = server.pointee.open(flags: flags)
      if error != 0 {
        finish(0, error: error)
      } else {
        finish(fuse_open_out(openFlags: answer))
      }
    case FUSE_OPENDIR: finish(fuse_open_out(openFlags: 0))
    case FUSE_RELEASE, FUSE_RELEASEDIR: finish(0)
    case FUSE_FLUSH: finish(0, error: server.pointee.closed())
    case FUSE_FSYNC: finish(0, error: server.pointee.flush())
    case FUSE_FALLOCATE:
      let wanted = argument(fuse_fallocate_in.self)
      guard inode == FileServer.fileInode else { return finish(0, error: EINVAL) }
      let error = server.pointee.allocate(
        mode: Int32(bitPattern: wanted.mode), offset: Int64(bitPattern: wanted.offset),
        length: Int64(bitPattern: wanted.length), with: context)
      finish(0, error: error)
    case FUSE_LSEEK:
      let wanted = argument(fuse_lseek_in.self)
      let (offset, error) = server.pointee.seek(
        from: Int64(bitPattern: wanted.offset), whence: Int32(bitPattern: wanted.whence))
      if error == 0 { finish(fuse_lseek_out(offset: offset)) } else { finish(0, error: error) }
    case FUSE_READDIR:
      let wanted = argument(fuse_read_in.self)
      let room = UnsafeMutableBufferPointer(
        start: payload.assumingMemoryBound(to: CChar.self),
        count: min(Int(wanted.size), payloadSize))
      let (count, error) = server.pointee.listDirectory(
        inode, from: Int64(bitPattern: wanted.offset), to: room)
      finish(count, error: error)
    case FUSE_STATFS: finish(fuse_statfs_out(server.pointee.statistics))
    case FUSE_MKNOD, FUSE_MKDIR, FUSE_SYMLINK, FUSE_LINK, FUSE_UNLINK, FUSE_RMDIR, FUSE_RENAME,
      FUSE_RENAME2:
      finish(0, error: FileServer.refusal)
    default: finish(0, error: ENOSYS)
    }
  }

  /// The name lies in the payload, with a 0 at its end.
  private func serveLookup(_ server: UnsafeMutablePointer<FileServer>) {
    let size = dataSize
    guard size > 0, (payload + size - 1).load(as: UInt8.self) == 0,
      let attributes = server.pointee.lookup(payload.assumingMemoryBound(to: CChar.self), in: inode)
    else { return finish(0, error: ENOENT) }
    var entry = fuse_entry_out()
    entry.nodeid = UInt64(attributes.st_ino)
    entry.entry_valid = UInt64(FileServer.cacheTime)
    entry.attr_valid = UInt64(FileServer.cacheTime)
    entry.attr = fuse_attr(attributes)
    finish(entry)
  }
}

extension fuse_attr {
  fileprivate init(_ attributes: stat) {
    self.init()
    ino = UInt64(attributes.st_ino)
    size = UInt64(attributes.st_size)
    blocks = UInt64(attributes.st_blocks)
    atime = UInt64(bitPattern: Int64(attributes.st_atim.tv_sec))
    mtime = UInt64(bitPattern: Int64(attributes.st_mtim.tv_sec))
    ctime = UInt64(bitPattern: Int64(attributes.st_ctim.tv_sec))
    atimensec = UInt32(attributes.st_atim.tv_nsec)
    mtimensec = UInt32(attributes.st_mtim.tv_nsec)
    ctimensec = UInt32(attributes.st_ctim.tv_nsec)
    mode = attributes.st_mode
    nlink = UInt32(attributes.st_nlink)
    uid = attributes.st_uid
    gid = attributes.st_gid
    blksize = UInt32(attributes.st_blksize)
  }
}

extension fuse_attr_out {
  fileprivate init(_ attributes: stat) {
    self.init()
    attr_valid = UInt64(FileServer.cacheTime)
    attr = fuse_attr(attributes)
  }
}

extension fuse_open_out {
  fileprivate init(openFlags: UInt32) {
    self.init()
    open_flags = openFlags
  }
}

extension fuse_statfs_out {
  fileprivate init(_ status: statvfs) {
    self.init()
    st.blocks = UInt64(status.f_blocks)
    st.files = UInt64(status.f_files)
    st.bsize = UInt32(status.f_bsize)
    st.frsize = UInt32(status.f_frsize)
    st.namelen = UInt32(status.f_namemax)
  }
}
