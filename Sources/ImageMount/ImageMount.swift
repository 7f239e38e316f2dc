public import BlockImage
import CFuse
import CLinux
import Glibc
import HostSystem

/// A decrypted image as the file `volume` in a directory, through FUSE.
///
/// `mount` returns when the mount is there; from then on requests wait until `serve` answers them, and
/// SIGTERM, SIGINT and SIGHUP do what `requestUnmount` does. One at a time in a process, therefore.
///
/// The image's page cache belongs to the kernel; writes go through it to the image at once unless
/// `ImageMountOptions.Cache.writeback` is chosen, so what a program wrote outlives the program, this process and a
/// plain unmount, and with fsync a power failure.
// @unchecked: only `session` and `rings` change, and after `mount` only the thread in `serve` uses them.
public final class ImageMount: @unchecked Sendable {
  /// The directory, without symbolic links.
  public let mountpoint: String
  private let image: BlockImage
  private let options: ImageMountOptions
  private let server: UnsafeMutablePointer<FileServer>
  /// libfuse's; nil once the connection is closed.
  private var session: OpaquePointer?
  /// Nil for the classic transport, and once they are closed.
  private var rings: RingServer?
  /// What wakes the thread in `serve`: a byte of `Event`.
  private let events: Pipe

  /// How requests travel: `classic` or `uring`. Settled by `mount`.
  public private(set) var transport = ImageMountOptions.Transport.classic

  /// The longest read and write of the classic transport, in bytes: shorter ones than the kernel's maximum of
  /// 1 MiB spread one big request over several threads.
  private static let classicMaximumRequest = 256 << 10

  /// Mounts the image: directly as root, through fusermount3 as an ordinary user.
  public static func mount(
    _ image: BlockImage, _ options: ImageMountOptions
  ) throws(ImageMountError) -> ImageMount {
    let mountpoint = try Mountpoint.check(options.mountpoint)
    var options = options
    options.readOnly = options.readOnly || image.isReadOnly
    let ringSize = try RingSupport.size(for: options.transport)
    let maximumRequest = ringSize?.maximumRequest ?? classicMaximumRequest
    let mount = try ImageMount(image, options, maximumRequest, mountpoint: mountpoint)
    let device = try FuseDevice.mount(at: mountpoint, options, maxRead: maximumRequest)
    do { try mount.connect(device, ringSize) } catch {
      try? Mountpoint.unmount(mountpoint, lazily: true)
      throw error
    }
    mount.raiseReadAhead()
    return mount
  }

  private init(
    _ image: BlockImage, _ options: ImageMountOptions, _ maximumRequest: Int, mountpoint: String
  ) throws(ImageMountError) {
    do { events = try Pipe.make() } catch {
      throw ImageMountError(.systemFailure, "\(error)")
    }
    self.image = image
    self.options = options
    self.mountpoint = mountpoint
    let server = UnsafeMutablePointer<FileServer>.allocate(capacity: 1)
    server.initialize(
      to: FileServer(
        image: .passUnretained(image), size: image.geometry.size, uid: options.uid ?? getuid(),
        gid: options.gid ?? getgid(), readOnly: options.readOnly, cache: options.cache,
        maximumRequest: maximumRequest))
    self.server = server
    guard let session = Self.makeSession(server) else {
      server.deallocate()
      throw ImageMountError(.systemFailure, "libfuse cannot make a session")
    }
    self.session = session
    coffer_fuse_catch_signals(events.writer.rawValue)
  }

  deinit {
    coffer_fuse_release_signals()
    closeSession()
    server.deallocate()
  }

  private func closeSession() {
    if let open = session { fuse_session_destroy(open) }
    session = nil
  }

  private static func makeSession(_ server: UnsafeMutablePointer<FileServer>) -> OpaquePointer? {
    var operations = FileOperations.table()
    // libfuse insists that INIT's max_read is said here too.
    let texts = ["coffer", "-omax_read=\(server.pointee.maximumRequest)"]
    var arguments: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) }
    defer { for argument in arguments { free(argument) } }
    return arguments.withUnsafeMutableBufferPointer { buffer in
      var list = fuse_args(
        argc: Int32(buffer.count), argv: buffer.baseAddress, allocated: 0)
      defer { fuse_opt_free_args(&list) }
      return fuse_session_new(
        &list, &operations, MemoryLayout<fuse_lowlevel_ops>.size, server)
    }
  }

  /// Takes over the connection and answers the kernel's first request, INIT.
  private func connect(
    _ device: consuming Descriptor, _ ringSize: RingSize?
  ) throws(ImageMountError) {
    let connection = device.rawValue
    var wanted: UInt64 = 0
    if let ringSize {
      // Before INIT, which promises them to the kernel.
      rings = try makeRings(ringSize, connection)
      if rings != nil { wanted |= coffer_fuse_over_io_uring }
    }
    if options.cache == .none { wanted |= coffer_fuse_direct_io_allow_mmap }
    guard coffer_fuse_take_connection(session, connection, wanted) == 0 else {
      throw ImageMountError(.systemFailure, "libfuse does not take \(FuseDevice.path)")
    }
    // The session closes it.
    _ = device.release()
    try negotiate()
    if coffer_fuse_agreed() & coffer_fuse_over_io_uring != 0 {
      transport = .uring
    } else {
      rings = nil
      if options.transport == .uring {
        throw ImageMountError(
          .noRings, "\(mountpoint): the kernel does not offer FUSE over io_uring",
          advice: RingSupport.advice)
      }
    }
  }

  /// Nil where they cannot be had and need not be.
  private func makeRings(
    _ size: RingSize, _ connection: Int32
  ) throws(ImageMountError) -> RingServer? {
    do {
      return try RingServer(
        size, server: server, image: image, connection: connection,
        processors: sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    } catch {
      if options.transport == .auto { return nil }
      throw ImageMountError(
        .noRings, "\(mountpoint): the kernel gives this process no rings: \(error.reason)",
        advice:
          "See the locked-memory limit (ulimit -l) and kernel.io_uring_disabled (sysctl), or take "
          + "the other way: --transport classic")
    }
  }

  private func negotiate() throws(ImageMountError) {
    var buffer = fuse_buf()
    defer { free(buffer.mem) }
    while !server.pointee.isConnected {
      let result = fuse_session_receive_buf(session, &buffer)
      if result == -EINTR { continue }
      if result > 0 { fuse_session_process_buf(session, &buffer) }
      if result <= 0 || fuse_session_exited(session) != 0 {
        throw ImageMountError(
          .systemFailure, "\(mountpoint): the kernel and libfuse do not agree on a protocol")
      }
    }
  }

  /// INIT cannot raise read-ahead over the kernel's 128 KiB; root can, per mount. More lets several threads
  /// decrypt what one reader will want.
  private func raiseReadAhead() {
    guard let device = try? Mountpoint.entry(at: mountpoint)?.device,
      let file = try? Descriptor.open("/sys/class/bdi/\(device)/read_ahead_kb", O_WRONLY)
    else { return }
    _ = write(file.rawValue, "1024", 4)
  }

  // MARK: Serving

  /// Serves requests until the file system is unmounted, by whomever; then flushes the image. Call it once.
  ///
  /// - Throws: `notDurable` when the last flush failed; `systemFailure` without memory or threads, after
  ///   a lazy unmount.
  public func serve() throws(ImageMountError) {
    // Memory reclaim must not wait for the writes that this process itself has to make.
    _ = coffer_set_io_flusher()
    var threads: [pthread_t] = []
    var failure = rings == nil ? startWorkers(&threads) : startRings(&threads)
    if failure != nil { try? Mountpoint.unmount(mountpoint, lazily: true) }
    waitForEnd(of: threads.count)
    for thread in threads { pthread_join(thread, nil) }
    if let error = rings?.failure, error != 0 {
      failure = ImageMountError(
        .systemFailure, "\(mountpoint): a ring failed: \(String(cString: strerror(error)))",
        advice: "Attach it again with --transport classic.")
      try? Mountpoint.unmount(mountpoint, lazily: true)
    }
    rings = nil
    removeDeadMount(isGone: failure != nil)
    let error = image.isReadOnly ? 0 : image.flush()
    if let failure { throw failure }
    if error != 0 {
      throw ImageMountError(
        .notDurable,
        "\(mountpoint): the last changes could not be written to the disk: "
          + String(cString: strerror(error)),
        advice: "Check the disk under the image, and what is in the image, before it is used again."
      )
    }
  }

  /// Where the connection ended some other way than by unmounting (libfuse failed, or someone aborted it
  /// through /sys/fs/fuse), the mount is still there, dead: it goes too.
  private func removeDeadMount(isGone: Bool) {
    closeSession()
    if !isGone && (try? Mountpoint.state(of: mountpoint)) == .stale {
      try? Mountpoint.unmount(mountpoint, lazily: true)
    }
  }

  /// Asks `serve` to unmount; returns at once, from any thread.
  ///
  /// While files are in use, the mount is only taken out of sight: nobody can open it any more, those who
  /// have it open go on, and `serve` returns when the last one is done. Nothing is cut off, so nothing is
  /// lost; to end the process all the same takes SIGKILL.
  public func requestUnmount() {
    send(.unmountRequested, to: events.writer.rawValue)
  }

  /// Unmounts, or throws `busy` and changes nothing.
  public func unmount() throws(ImageMountError) {
    try Mountpoint.unmount(mountpoint)
  }

  private func startWorkers(_ threads: inout [pthread_t]) -> ImageMountError? {
    let count = options.threadCount ?? Self.defaultThreadCount
    var isLocked = true
    for _ in 0..<count {
      guard let worker = makeWorker(capacity: server.pointee.maximumRequest) else {
        return ImageMountError(.systemFailure, "no memory for \(count) threads")
      }
      isLocked = isLocked && worker.isLocked
      if let error = start(.worker(worker, besideRings: nil), &threads) { return error }
    }
    if !isLocked { notifyUnlocked(count * (server.pointee.maximumRequest + 2 * 4096) * 2) }
    return nil
  }

  /// The threads of the rings, and one for what still comes through /dev/fuse.
  private func startRings(_ threads: inout [pthread_t]) -> ImageMountError? {
    guard let rings, let session, let worker = makeWorker(capacity: 4096) else {
      return ImageMountError(.systemFailure, "no memory for the rings")
    }
    // The one reader waits for the stop, too, which a blocking read would not.
    _ = fcntl(fuse_session_fd(session), F_SETFL, O_NONBLOCK)
    if !(rings.isLocked && worker.isLocked) { notifyUnlocked(rings.lockedSize) }
    if let error = start(.worker(worker, besideRings: rings.stopDescriptor), &threads) {
      return error
    }
    for index in 0..<rings.threadCount {
      if let error = start(.ring(rings, index), &threads) {
        rings.stop()
        return error
      }
    }
    return nil
  }

  private func makeWorker(capacity: Int) -> Worker? {
    guard let session else { preconditionFailure("serve is called once") }
    guard let context = try? image.makeContext(capacity: capacity) else { return nil }
    return Worker(
      session: session, maximumRequest: server.pointee.maximumRequest, context: context)
  }

  private func start(
    _ task: consuming ThreadTask, _ threads: inout [pthread_t]
  ) -> ImageMountError? {
    let start = UnsafeMutablePointer<ThreadStart>.allocate(capacity: 1)
    start.initialize(to: ThreadStart(task: task, events: events.writer.rawValue))
    var thread = pthread_t()
    let error = pthread_create(&thread, nil, runThread, start)
    guard error == 0 else {
      start.deinitialize(count: 1)
      start.deallocate()
      return ImageMountError(
        .systemFailure, "cannot start a thread: \(String(cString: strerror(error)))")
    }
    threads.append(thread)
    return nil
  }

  private func notifyUnlocked(_ needed: Int) {
    notify(
      "\(mountpoint): the memory for data in transit cannot be locked, so plaintext may reach the "
        + "swap; raise the locked-memory limit to \(needed / 1024) KiB (ulimit -l, LimitMEMLOCK=)")
  }

  /// Four at least, for a deep queue of big requests; ten at most, since more of them wait for each other.
  private static var defaultThreadCount: Int {
    min(max(4, 2 * sysconf(Int32(_SC_NPROCESSORS_ONLN))), 10)
  }

  private func waitForEnd(of workers: Int) {
    var left = workers
    var isUnmounting = false
    while left > 0 {
      var event: UInt8 = 0
      guard read(events.reader.rawValue, &event, 1) == 1 else { continue }
      if event == Event.workerEnded.rawValue {
        // The connection has ended; those that have no request outstanding do not hear of it.
        rings?.stop()
        left -= 1
      } else if !isUnmounting {
        isUnmounting = unmountOrDetach()
      }
    }
  }

  /// Whether the mount is gone, or goes with its last user.
  private func unmountOrDetach() -> Bool {
    do {
      try Mountpoint.unmount(mountpoint)
      return true
    } catch  where error.code == .busy {
      do {
        try Mountpoint.unmount(mountpoint, lazily: true)
        notify("\(mountpoint): files are in use; serving them until they are closed")
        return true
      } catch {
        notify("\(error)")
        return false
      }
    } catch {
      notify("\(error)")
      return error.code == .notMounted
    }
  }

  private func notify(_ text: String) {
    if let notice = options.notice {
      notice(text)
    } else {
      _ = (text + "\n").withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }
  }
}

/// What the thread in `serve` is told, one byte each; signals send an `s` too.
private enum Event: UInt8 {
  case unmountRequested = 0x73
  case workerEnded = 0x77
}

private enum ThreadTask: ~Copyable {
  case worker(Worker, besideRings: Int32?)
  case ring(RingServer, Int)
}

/// What a new thread gets.
private struct ThreadStart: ~Copyable {
  var task: ThreadTask
  let events: Int32
}

private func runThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  let memory = argument!.assumingMemoryBound(to: ThreadStart.self)
  let start = memory.move()
  memory.deallocate()
  let events = start.events
  switch consume start.task {
  case .worker(var worker, let stop):
    withUnsafeMutablePointer(to: &worker) { Worker.run($0, besideRings: stop) }
  case .ring(let rings, let index): rings.run(index)
  }
  send(.workerEnded, to: events)
  return nil
}

private func send(_ event: Event, to descriptor: Int32) {
  var byte = event.rawValue
  while write(descriptor, &byte, 1) < 0 && errno == EINTR {}
}
