import BlockImage
import CFuse
import Glibc

/// The requests that come through /dev/fuse, for libfuse. Functions and closures here capture nothing: libfuse calls them
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
    table.open = { request, _, info in answerOpen(request, info!.pointee.flags) }
    table.read = { request, inode, size, offset, _ in answerRead(request, inode, size, offset) }
    table.write = { request, inode, bytes, size, offset, _ in
      answerWrite(request, inode, bytes, size, offset)
    }
    table.flush = { request, _, _ in fuse_reply_err(request, server(of: request).pointee.closed()) }
    table.fsync = { request, _, _, _ in
      fuse_reply_err(request, server(of: request).pointee.flush())
    }
    table.fallocate = { request, inode, mode, offset, length, _ in
      guard inode == FileServer.fileInode else {
        fuse_reply_err(request, EINVAL)
        return
      }
      let error = server(of: request).pointee.allocate(
        mode: mode, offset: Int64(offset), length: Int64(length),
        with: Worker.current.pointee.context)
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

  private static func refuseChangesOfTheDirectory(_ table: inout fuse_lowlevel_ops) {
    table.mknod = { request, _, _, _, _ in fuse_reply_err(request, FileServer.refusal) }
    table.mkdir = { request, _, _, _ in fuse_reply_err(request, FileServer.refusal) }
    table.symlink = { request, _, _, _ in fuse_reply_err(request, FileServer.refusal) }
    table.link = { request, _, _, _ in fuse_reply_err(request, FileServer.refusal) }
    table.unlink = { request, _, _ in fuse_reply_err(request, FileServer.refusal) }
    table.rmdir = { request, _, _ in fuse_reply_err(request, FileServer.refusal) }
    table.rename = { request, _, _, _, _, _ in fuse_reply_err(request, FileServer.refusal) }
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
  let (found, error) = server(of: request).pointee.seek(from: Int64(offset), whence: whence)
  if error == 0 { fuse_reply_lseek(request, off_t(found)) } else { fuse_reply_err(request, error) }
}

// MARK: The file

private func answerLookup(
  _ request: fuse_req_t?, _ parent: fuse_ino_t, _ name: UnsafePointer<CChar>?
) {
  guard let name, let attributes = server(of: request).pointee.lookup(name, in: parent) else {
    fuse_reply_err(request, ENOENT)
    return
  }
  var entry = fuse_entry_param()
  entry.ino = fuse_ino_t(attributes.st_ino)
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

private func answerSetAttributes(
  _ request: fuse_req_t?, _ inode: fuse_ino_t, _ wanted: stat, _ mask: Int32
) {
  var (attributes, error) = server(of: request).pointee.setAttributes(
    of: inode,
    to: WantedAttributes(
      size: Int64(wanted.st_size), mode: wanted.st_mode, uid: wanted.st_uid, gid: wanted.st_gid),
    mask: mask)
  if error == 0 {
    fuse_reply_attr(request, &attributes, FileServer.cacheTime)
  } else {
    fuse_reply_err(request, error)
  }
}

private func answerOpen(_ request: fuse_req_t?, _ flags: Int32) {
  let (answer, error) = server(of: request).pointee.open(flags: flags)
  if error == 0 {
    coffer_fuse_reply_open(request, answer)
  } else {
    fuse_reply_err(request, error)
  }
}

// MARK: The directory

private func answerReadDirectory(
  _ request: fuse_req_t?, _ inode: fuse_ino_t, _ size: Int, _ offset: off_t
) {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: min(size, 4096)) { buffer in
    let (count, error) = server(of: request).pointee.listDirectory(
      inode, from: Int64(offset), to: buffer)
    if error == 0 {
      _ = fuse_reply_buf(request, buffer.baseAddress, count)
    } else {
      fuse_reply_err(request, error)
    }
  }
}

private func answerStatistics(_ request: fuse_req_t?) {
  var status = server(of: request).pointee.statistics
  fuse_reply_statfs(request, &status)
}
