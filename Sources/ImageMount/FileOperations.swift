import BlockImage
import CFuse
import Glibc

/// The requests of the kernel, for libfuse. Functions and closures here capture nothing: libfuse calls them
/// on the threads of `Worker`. What is not set, libfuse answers with ENOSYS, and the kernel asks no more.
enum FileOperations {
  static func table() -> fuse_lowlevel_ops {
    var table = fuse_lowlevel_ops()
    table.`init` = { state, connection in
      guard let connection else { return }
      let server = state!.assumingMemoryBound(to: FileServer.self)
      server.pointee.negotiate(connection)
      server.pointee.isConnected = true
    }
    table.lookup = { request, parent, name in
      answerLookup(request, parent, name)
    }
    table.forget = { request, _, _ in fuse_reply_none(request) }
    table.getattr = { request, inode, _ in reply(request, attributesOf: inode) }
    table.setattr = { request, inode, wanted, mask, _ in
      answerSetAttributes(request, inode, wanted!.pointee, mask)
    }
    table.open = { request, inode, info in answerOpen(request, inode, info!.pointee.flags) }
    table.read = { request, inode, size, offset, _ in answerRead(request, inode, size, offset) }
    table.write = { request, inode, bytes, size, offset, _ in
      answerWrite(request, inode, bytes, size, offset)
    }
    table.flush = { request, _, _ in
      // Close needs no disk; but where writes were lost, whoever never calls fsync should hear of it.
      let lost = server(of: request).pointee.image._withUnsafeGuaranteedRef { $0.hasLostWrites }
      fuse_reply_err(request, lost ? EIO : 0)
    }
    table.fsync = { request, _, _, _ in
      let image = server(of: request).pointee.image
      fuse_reply_err(request, image._withUnsafeGuaranteedRef { $0.flush() })
    }
    table.fallocate = { request, inode, mode, offset, length, _ in
      guard inode == FileServer.fileInode else {
        fuse_reply_err(request, EINVAL)
        return
      }
      let error = server(of: request).pointee.allocate(
        mode: mode, offset: offset, length: length, with: Worker.current.pointee.context)
      fuse_reply_err(request, error)
    }
    table.lseek = { request, _, offset, whence, _ in answerSeek(request, offset, whence) }
    table.readdir = { request, inode, size, offset, _ in
      answerReadDirectory(request, inode, size, offset)
    }
    table.statfs = { request, _ in answerStatistics(request) }
    refuseChangesOfTheDirectory(&table)
    return table
  }

  /// ENOSYS would be a strange answer to who tries to make or remove a file; EPERM is what such calls
  /// return on a file system that does not support them.
  private static func refuseChangesOfTheDirectory(_ table: inout fuse_lowlevel_ops) {
    table.mknod = { request, _, _, _, _ in fuse_reply_err(request, EPERM) }
    table.mkdir = { request, _, _, _ in fuse_reply_err(request, EPERM) }
    table.symlink = { request, _, _, _ in fuse_reply_err(request, EPERM) }
    table.link = { request, _, _, _ in fuse_reply_err(request, EPERM) }
    table.unlink = { request, _, _ in fuse_reply_err(request, EPERM) }
    table.rmdir = { request, _, _ in fuse_reply_err(request, EPERM) }
    table.rename = { request, _, _, _, _, _ in fuse_reply_err(request, EPERM) }
  }
}

@inline(__always)
private func server(of request: fuse_req_t?) -> UnsafeMutablePointer<FileServer> {
  fuse_req_userdata(request).assumingMemoryBound(to: FileServer.self)
}

// MARK: Data

private func answerRead(
  _ request: fuse_req_t?, _ inode: fuse_ino_t, _ size: Int, _ offset: off_t
) {
  let (bytes, error) = server(of: request).pointee.image._withUnsafeGuaranteedRef {
    $0.read(at: UInt64(offset), count: size, with: Worker.current.pointee.context)
  }
  if error != 0 {
    fuse_reply_err(request, error)
  } else {
    fuse_reply_buf(
      request, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
  }
}

private func answerWrite(
  _ request: fuse_req_t?, _ inode: fuse_ino_t, _ bytes: UnsafePointer<CChar>?, _ size: Int,
  _ offset: off_t
) {
  let result = server(of: request).pointee.image._withUnsafeGuaranteedRef {
    $0.write(
      at: UInt64(offset), from: UnsafeRawBufferPointer(start: bytes, count: size),
      with: Worker.current.pointee.context)
  }
  if result.error != 0 {
    fuse_reply_err(request, result.error)
  } else {
    fuse_reply_write(request, result.count)
  }
}

private func answerSeek(_ request: fuse_req_t?, _ offset: off_t, _ whence: Int32) {
  guard offset >= 0 else {
    fuse_reply_err(request, ENXIO)
    return
  }
  let found: UInt64? = server(of: request).pointee.image._withUnsafeGuaranteedRef { image in
    whence == seekHole
      ? image.nextHole(from: UInt64(offset)) : image.nextData(from: UInt64(offset))
  }
  guard whence == seekData || whence == seekHole else {
    fuse_reply_err(request, EINVAL)
    return
  }
  if let found { fuse_reply_lseek(request, off_t(found)) } else { fuse_reply_err(request, ENXIO) }
}

// MARK: The file

private func answerLookup(
  _ request: fuse_req_t?, _ parent: fuse_ino_t, _ name: UnsafePointer<CChar>?
) {
  guard parent == FileServer.rootInode, let name, strcmp(name, FileServer.fileName) == 0,
    let attributes = server(of: request).pointee.attributes(of: FileServer.fileInode)
  else {
    fuse_reply_err(request, ENOENT)
    return
  }
  var entry = fuse_entry_param()
  entry.ino = FileServer.fileInode
  entry.attr = attributes
  entry.attr_timeout = FileServer.cacheTime
  entry.entry_timeout = FileServer.cacheTime
  fuse_reply_entry(request, &entry)
}

private func reply(_ request: fuse_req_t?, attributesOf inode: fuse_ino_t) {
  guard var attributes = server(of: request).pointee.attributes(of: inode) else {
    fuse_reply_err(request, ENOENT)
    return
  }
  fuse_reply_attr(request, &attributes, FileServer.cacheTime)
}

/// The size, the owner and the mode are what they are; times may be set, to no effect: they are
/// those of the image.
private func answerSetAttributes(
  _ request: fuse_req_t?, _ inode: fuse_ino_t, _ wanted: stat, _ mask: Int32
) {
  guard let present = server(of: request).pointee.attributes(of: inode) else {
    fuse_reply_err(request, ENOENT)
    return
  }
  let refused =
    mask & FUSE_SET_ATTR_SIZE != 0 && wanted.st_size != present.st_size
    || mask & FUSE_SET_ATTR_MODE != 0 && wanted.st_mode & 0o7777 != present.st_mode & 0o7777
    || mask & FUSE_SET_ATTR_UID != 0 && wanted.st_uid != present.st_uid
    || mask & FUSE_SET_ATTR_GID != 0 && wanted.st_gid != present.st_gid
  if refused { fuse_reply_err(request, EPERM) } else { reply(request, attributesOf: inode) }
}

private func answerOpen(_ request: fuse_req_t?, _ inode: fuse_ino_t, _ flags: Int32) {
  let forWriting = flags & O_ACCMODE != O_RDONLY
  if forWriting && server(of: request).pointee.readOnly {
    fuse_reply_err(request, EROFS)
    return
  }
  // Reading alone gains nothing from the flags, and would lose: the kernel then sends the pieces of a
  // big read one after the other.
  coffer_fuse_reply_open(request, forWriting && flags & directIO != 0 ? 1 : 0)
}

// MARK: The directory

private func answerReadDirectory(
  _ request: fuse_req_t?, _ inode: fuse_ino_t, _ size: Int, _ offset: off_t
) {
  guard inode == FileServer.rootInode else {
    fuse_reply_err(request, ENOTDIR)
    return
  }
  let entries = [
    (".", FileServer.rootInode, Glibc.S_IFDIR), ("..", FileServer.rootInode, Glibc.S_IFDIR),
    (FileServer.fileName, FileServer.fileInode, Glibc.S_IFREG),
  ]
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: min(size, 4096)) { buffer in
    var used = 0
    for (index, (name, inode, type)) in entries.enumerated() where index >= offset {
      var attributes = stat()
      attributes.st_ino = UInt(inode)
      attributes.st_mode = type
      let room = buffer.count - used
      let needed = fuse_add_direntry(
        request, buffer.baseAddress! + used, room, name, &attributes, off_t(index + 1))
      if needed > room { break }
      used += needed
    }
    _ = fuse_reply_buf(request, buffer.baseAddress, used)
  }
}

private func answerStatistics(_ request: fuse_req_t?) {
  var status = statvfs()
  status.f_bsize = 4096
  status.f_frsize = 4096
  status.f_blocks = UInt(server(of: request).pointee.size / 4096)
  status.f_files = 2
  status.f_namemax = 255
  fuse_reply_statfs(request, &status)
}

/// O_DIRECT of open(2), SEEK_DATA and SEEK_HOLE of lseek(2): GNU extensions that are not imported.
private let directIO: Int32 = 0o40000
private let seekData: Int32 = 3
private let seekHole: Int32 = 4
