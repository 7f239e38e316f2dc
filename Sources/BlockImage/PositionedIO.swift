import Glibc

/// pread(2) until `count` bytes have come. Returns 0 or an errno; EIO where the file ends early.
func readFully(
  _ descriptor: Int32, _ target: UnsafeMutableRawPointer, _ count: Int, at offset: UInt64
)
  -> Int32
{
  var done = 0
  while done < count {
    let result = pread(descriptor, target + done, count - done, off_t(offset) + off_t(done))
    if result > 0 {
      done += result
    } else if result == 0 {
      return EIO
    } else if errno != EINTR {
      return errno
    }
  }
  return 0
}

/// pwrite(2) until `count` bytes are written or an error ends it: how many were, and 0 or the errno.
func writeFully(_ descriptor: Int32, _ source: UnsafeRawPointer, _ count: Int, at offset: UInt64)
  -> (written: Int, error: Int32)
{
  var done = 0
  while done < count {
    let result = pwrite(descriptor, source + done, count - done, off_t(offset) + off_t(done))
    if result > 0 {
      done += result
    } else if result == 0 {
      return (done, EIO)
    } else if errno != EINTR {
      return (done, errno)
    }
  }
  return (done, 0)
}
