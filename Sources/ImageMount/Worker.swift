import BlockImage
import CFuse
import CURing
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
  private let touchedSize: Int
  /// `fuse_in_header` and `fuse_write_in`: so much before the end of the first page, that the bytes of a
  /// write start on the second.
  private static let headerSize = 80

  /// - Throws: no memory.
  init?(session: OpaquePointer, maximumRequest: Int, context: consuming IOContext) {
    touchedSize = maximumRequest + 2 * 4096
    guard
      let memory = mmap(
        nil, Self.memorySize, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
      memory != MAP_FAILED
    else { return nil }
    madvise(memory, Self.memorySize, MADV_DONTDUMP)
    isRequestMemoryLocked = mlock(memory, touchedSize) == 0
    self.memory = memory
    self.session = session
    self.context = context
  }

  deinit {
    explicit_bzero(memory, touchedSize)
    munmap(memory, Self.memorySize)
  }

  /// The worker of the calling thread.
  @inline(__always)
  static var current: UnsafeMutablePointer<Worker> {
    coffer_fuse_thread_state().assumingMemoryBound(to: Worker.self)
  }

  /// Serves until the file system is unmounted or the session ends.
  ///
  /// - Parameter stop: the requests proper come through rings, and only what those cannot carry comes here;
  ///   ends when this descriptor becomes readable. Nil: everything comes here.
  static func run(_ worker: UnsafeMutablePointer<Worker>, besideRings stop: Int32? = nil) {
    coffer_fuse_set_thread_state(worker)
    defer { coffer_fuse_set_thread_state(nil) }
    let session = worker.pointee.session
    var buffer = fuse_buf()
    while fuse_session_exited(session) == 0 {
      if let stop, !waitForRequest(fuse_session_fd(session), orStop: stop) { break }
      buffer.flags = fuse_buf_flags(0)
      buffer.mem = worker.pointee.memory + (4096 - headerSize)
      let result = fuse_session_receive_buf(session, &buffer)
      if result == -EINTR || result == -EAGAIN { continue }
      if result <= 0 { break }
      // libfuse would remember an interrupt until it meets its request, which is in a ring. No request
      // takes so long that it would have to be interrupted.
      if stop != nil && isInterrupt(buffer.mem) { continue }
      fuse_session_process_buf(session, &buffer)
    }
  }

  /// Whether there may be a request, and it is not time to stop.
  private static func waitForRequest(_ connection: Int32, orStop stop: Int32) -> Bool {
    var descriptors = [
      pollfd(fd: connection, events: Int16(POLLIN), revents: 0),
      pollfd(fd: stop, events: Int16(POLLIN), revents: 0),
    ]
    while poll(&descriptors, 2, -1) < 0 && errno == EINTR {}
    return descriptors[1].revents == 0
  }

  private static func isInterrupt(_ memory: UnsafeMutableRawPointer) -> Bool {
    memory.load(as: fuse_in_header.self).opcode == FUSE_INTERRUPT.rawValue
  }
}
