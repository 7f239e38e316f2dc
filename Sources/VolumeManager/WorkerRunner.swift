import Dispatch
import FoundationEssentials
import Glibc
import HostSystem
import SystemPackage
import VolumeAPI

/// Why a worker did not do what it was asked.
struct WorkerFailure: Error {
  var error: VolumeError
  /// Whether the image may have been written to before.
  var changed: Bool
}

/// Starts workers and talks to them.
final class WorkerRunner: Sendable {
  private let command: WorkerCommand
  private let lock: Descriptor
  // A thread for each worker, as long as that lives: when the thread that started a worker ends, the
  // kernel takes that for the daemon's death (`WorkerRights.dieWithParent`).
  private let threads = DispatchQueue(label: "coffer.workers", attributes: .concurrent)

  /// - Parameter lock: inherited by every worker.
  init(_ command: WorkerCommand, lock: consuming Descriptor) {
    self.command = command
    self.lock = lock
  }

  /// Has a worker do `work` with the rights of `user`.
  ///
  /// - Parameter image: the open image, if the work is on one in the pool.
  func run(
    _ work: WorkerRequest.Work, as user: WorkerUser, secrets: [SecretBox] = [],
    image: PoolImage? = nil
  ) async throws(WorkerFailure) -> WorkerReply {
    let request = WorkerRequest(user: user, parent: getpid(), work: work, secrets: secrets.count)
    let result = await withCheckedContinuation { continuation in
      threads.async {
        continuation.resume(
          returning: Result { () throws(WorkerFailure) in
            try self.runHere(request, secrets, image)
          })
      }
    }
    return try result.get()
  }

  private func runHere(
    _ request: WorkerRequest, _ secrets: [SecretBox], _ image: PoolImage?
  ) throws(WorkerFailure) -> WorkerReply {
    let answer: [UInt8]
    let status: ExitStatus
    do throws(SystemError) {
      var ends: [Int32] = [-1, -1]
      let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
      _ = try retrying("socketpair") { socketpair(AF_UNIX, type, 0, &ends) }
      let channel = WorkerChannel(
        Descriptor(adopting: ends[0]), deadline: .now.advanced(by: command.timeLimit))
      let theirs = Descriptor(adopting: ends[1])
      let worker = try start(theirs, image)
      _ = consume theirs
      do throws(SystemError) {
        answer = try channel.exchange(request, secrets)
      } catch {
        worker.signal(SIGKILL)
        _ = try worker.wait()
        throw error
      }
      // It has answered, or ended; nothing that is left to it matters.
      worker.signal(SIGKILL)
      status = try worker.wait()
    } catch {
      throw WorkerFailure(
        error: VolumeError(
          .inputOutput,
          error.code == .timedOut
            ? "the work on the image did not end within \(command.timeLimit)"
            : "the worker failed: \(error)"),
        changed: true)
    }
    guard let reply = try? JSONDecoder().decode(WorkerReply.self, from: Data(answer)) else {
      throw WorkerFailure(
        error: VolumeError(.internalFailure, "the worker ended without an answer (\(status))"),
        changed: true)
    }
    if case .failed(let error, let changed) = reply {
      throw WorkerFailure(error: error, changed: changed)
    }
    return reply
  }

  private func start(
    _ channel: borrowing Descriptor, _ image: PoolImage?
  ) throws(SystemError) -> ChildProcess {
    var descriptors: [(child: Int32, ours: Int32)] = [
      (STDIN_FILENO, channel.rawValue), (STDOUT_FILENO, channel.rawValue),
      (STDERR_FILENO, STDERR_FILENO), (WorkerDescriptor.lock, lock.rawValue),
    ]
    if let image { descriptors.append((WorkerDescriptor.image, image.descriptor.rawValue)) }
    return try ChildProcess.spawn(
      command.executable, arguments: command.arguments,
      environment: [ProcessHardening.backtraceSetting] + command.environment,
      descriptors: descriptors)
  }
}

/// The daemon's end of the socket to a worker.
struct WorkerChannel: ~Copyable {
  private let socket: Descriptor
  private let deadline: ContinuousClock.Instant

  init(_ socket: consuming Descriptor, deadline: ContinuousClock.Instant) {
    self.socket = socket
    self.deadline = deadline
  }

  /// Sends the request and returns the answer, of 64 KiB at most. Throws `timedOut` after the deadline.
  func exchange(
    _ request: WorkerRequest, _ secrets: [SecretBox]
  ) throws(SystemError) -> [UInt8] {
    guard var line = try? Array(JSONEncoder().encode(request)), line.count < WorkerRequest.longest
    else { throw SystemError(.messageTooLong, call: "encode") }
    line.append(UInt8(ascii: "\n"))
    try sendAll(line)
    for secret in secrets {
      let length = UInt32(secret.bytes.count).bigEndian
      let prefix = withUnsafeBytes(of: length) { Array($0) }
      try sendAll(prefix)
      try secret.bytes.withUnsafeBytes { bytes throws(SystemError) in try send(bytes) }
    }
    shutdown(socket.rawValue, Int32(SHUT_WR))
    return try receive()
  }

  private func sendAll(_ bytes: [UInt8]) throws(SystemError) {
    try bytes.withUnsafeBufferPointer { buffer throws(SystemError) in
      try send(UnsafeRawBufferPointer(buffer))
    }
  }

  private func send(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
    var done = 0
    let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
    while done < bytes.count {
      let count = Glibc.send(
        socket.rawValue, bytes.baseAddress! + done, bytes.count - done, flags)
      if count >= 0 {
        done += count
      } else if errno == EAGAIN {
        try wait(for: POLLOUT)
      } else if errno == EPIPE || errno == ECONNRESET {
        // It ended; what it said before says why.
        return
      } else if errno != EINTR {
        throw .current("send")
      }
    }
  }

  private func receive() throws(SystemError) -> [UInt8] {
    var answer: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while answer.count < 64 << 10 {
      try wait(for: POLLIN)
      let count = recv(socket.rawValue, &chunk, chunk.count, Int32(MSG_DONTWAIT))
      if count > 0 {
        answer += chunk.prefix(count)
        if answer.last == UInt8(ascii: "\n") { break }
      } else if count == 0 || errno == ECONNRESET {
        break
      } else if errno != EAGAIN && errno != EINTR {
        throw .current("recv")
      }
    }
    return answer
  }

  private func wait(for events: Int32) throws(SystemError) {
    var entry = pollfd(fd: socket.rawValue, events: Int16(events), revents: 0)
    let left = ContinuousClock.now.duration(to: deadline) / .milliseconds(1)
    let ready = try retrying("poll") { poll(&entry, 1, Int32(min(max(left, 0), 1e9))) }
    if ready == 0 { throw SystemError(.timedOut, call: "poll") }
  }
}
