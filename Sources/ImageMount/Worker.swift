import BlockImage
import CFuse
import Glibc

/// A thread that takes requests from the kernel and answers them, with memory of its own.
struct Worker: ~Copyable {
  let context: IOContext
  private let session: OpaquePointer
  private let memory: UnsafeMutableRawPointer
  /// Whether the request buffer, where the bytes of a write lie, is locked.
  private let isRequestMemoryLocked: Bool

  /// Everything that plaintext passes through stays out of the swap.
  var isLocked: Bool { isRequestMemoryLocked && context.isLocked }

  /// libfuse reads with room for a request of 1 MiB and a page of headers, however short the requests are
  /// that were agreed on; what lies beyond those is never touched.
  private static let memorySize = (1 << 20) + 3 * 4096
  private static let touchedSize = FileServer.maximumRequest + 2 * 4096
  /// `fuse_in_header` and `fuse_write_in`: so much before the end of the first page, that the bytes of a
  /// write start on the second.
  private static let headerSize = 80

  /// - Throws: no memory.
  init?(session: OpaquePointer, context: consuming IOContext) {
    guard
      let memory = mmap(
        nil, Self.memorySize, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
      memory != MAP_FAILED
    else { return nil }
    madvise(memory, Self.memorySize, MADV_DONTDUMP)
    isRequestMemoryLocked = mlock(memory, Self.touchedSize) == 0
    self.memory = memory
    self.session = session
    self.context = context
  }

  deinit {
    explicit_bzero(memory, Self.touchedSize)
    munmap(memory, Self.memorySize)
  }

  /// The worker of the calling thread.
  @inline(__always)
  static var current: UnsafeMutablePointer<Worker> {
    coffer_fuse_thread_state().assumingMemoryBound(to: Worker.self)
  }

  /// Serves until the file system is unmounted or the session ends.
  static func run(_ worker: UnsafeMutablePointer<Worker>) {
    coffer_fuse_set_thread_state(worker)
    defer { coffer_fuse_set_thread_state(nil) }
    let session = worker.pointee.session
    var buffer = fuse_buf()
    while fuse_session_exited(session) == 0 {
      buffer.flags = fuse_buf_flags(0)
      buffer.mem = worker.pointee.memory + (4096 - headerSize)
      let result = fuse_session_receive_buf(session, &buffer)
      if result == -EINTR { continue }
      if result <= 0 { break }
      fuse_session_process_buf(session, &buffer)
    }
  }
}
