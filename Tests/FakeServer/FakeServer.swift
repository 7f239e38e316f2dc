import Glibc
import Synchronization

/// An HTTP server with canned answers, good and bad ones, on a Unix socket in a directory of its own.
/// Each connection has a thread.
public final class FakeServer: Sendable {
  /// A request as it came.
  public struct Request: Sendable {
    public var method: String
    public var target: String
    /// By lowercase name.
    public var headers: [String: String]
    public var body: [UInt8]
    /// Which connection it came through, from 1.
    public var connection: Int

    /// The body as text.
    public var text: String { String(decoding: body, as: UTF8.self) }
  }

  public enum Reply: Sendable {
    /// A whole answer; the connection stays.
    case answer(_ status: Int, type: String = "application/json", [UInt8])
    /// These bytes, then the connection is closed.
    case bytes([UInt8])
    /// These bytes, then only the sending side is closed.
    case halfClosed([UInt8])
    /// These bytes, then nothing more until the client gives up.
    case stalled([UInt8])

    /// A whole answer in JSON.
    public static func json(_ status: Int, _ text: String) -> Reply {
      .answer(status, Array(text.utf8))
    }

    /// An answer without a body.
    public static let noContent = Reply.bytes(Array("HTTP/1.1 204 No Content\r\n\r\n".utf8))
  }

  /// The path of the socket.
  public let path: String
  private let directory: String
  private let listener: Int32
  private let respond: @Sendable (Request) -> Reply
  private let state = Mutex(State())

  private struct State {
    var requests: [Request] = []
    var connections: Set<Int32> = []
    var connectionCount = 0
  }

  /// Listens, and answers each request with what `respond` says until `stop`.
  public init(_ respond: @escaping @Sendable (Request) -> Reply) {
    self.respond = respond
    var template = Array("/tmp/coffer-fake-server-XXXXXX".utf8CString)
    precondition(mkdtemp(&template) != nil)
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    path = "\(directory)/socket"
    listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { [listener] in
        bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    precondition(bound == 0 && listen(listener, 64) == 0)
    startThread { self.acceptAll() }
  }

  /// All requests so far, in their order.
  public var requests: [Request] { state.withLock { $0.requests } }

  /// Ends all connections and removes the socket.
  public func stop() {
    shutdown(listener, Int32(SHUT_RDWR))
    state.withLock { state in
      for connection in state.connections { shutdown(connection, Int32(SHUT_RDWR)) }
    }
    unlink(path)
    rmdir(directory)
  }

  private func acceptAll() {
    while true {
      let connection = accept(listener, nil, nil)
      guard connection >= 0 else {
        close(listener)
        return
      }
      let number = state.withLock { state in
        state.connections.insert(connection)
        state.connectionCount += 1
        return state.connectionCount
      }
      startThread {
        self.serve(connection, number)
        self.state.withLock { state in
          state.connections.remove(connection)
          close(connection)
        }
      }
    }
  }

  private func serve(_ connection: Int32, _ number: Int) {
    while let request = readRequest(connection, number) {
      state.withLock { $0.requests.append(request) }
      switch respond(request) {
      case .answer(let status, let type, let body):
        let head =
          "HTTP/1.1 \(status) Status\r\nContent-Type: \(type)\r\nContent-Length: \(body.count)\r\n\r\n"
        guard sendAll(connection, Array(head.utf8)), sendAll(connection, body) else { return }
      case .bytes(let bytes):
        _ = sendAll(connection, bytes)
        return
      case .halfClosed(let bytes):
        _ = sendAll(connection, bytes)
        shutdown(connection, Int32(SHUT_WR))
        waitForEnd(connection)
        return
      case .stalled(let bytes):
        _ = sendAll(connection, bytes)
        waitForEnd(connection)
        return
      }
    }
  }

  private func readRequest(_ connection: Int32, _ number: Int) -> Request? {
    var head: [UInt8] = []
    while !head.hasSuffix(Array("\r\n\r\n".utf8)) {
      guard let byte = receive(connection, 1)?.first else { return nil }
      head.append(byte)
    }
    let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
    let words = lines[0].split(separator: " ")
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { return nil }
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      headers[line[..<colon].lowercased()] = String(value)
    }
    let length = Int(headers["content-length"] ?? "0") ?? 0
    guard let body = receive(connection, length) else { return nil }
    return Request(
      method: String(words[0]), target: String(words[1]), headers: headers, body: body,
      connection: number)
  }
}

extension [UInt8] {
  fileprivate func hasSuffix(_ other: [UInt8]) -> Bool { suffix(other.count) == other[...] }
}

/// Exactly `count` bytes; nil at the end of the stream.
private func receive(_ connection: Int32, _ count: Int) -> [UInt8]? {
  var bytes = [UInt8](repeating: 0, count: count)
  var filled = 0
  while filled < count {
    let result = bytes.withUnsafeMutableBytes {
      recv(connection, $0.baseAddress! + filled, count - filled, 0)
    }
    guard result > 0 else { return nil }
    filled += result
  }
  return bytes
}

private func sendAll(_ connection: Int32, _ bytes: [UInt8]) -> Bool {
  var sent = 0
  while sent < bytes.count {
    let result = bytes.withUnsafeBytes {
      send(connection, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
    }
    guard result > 0 else { return false }
    sent += result
  }
  return true
}

private func waitForEnd(_ connection: Int32) {
  while receive(connection, 1) != nil {}
}

private func startThread(_ body: @escaping @Sendable () -> Void) {
  final class Work: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var thread = pthread_t()
  let result = pthread_create(
    &thread, nil,
    { context in
      Unmanaged<Work>.fromOpaque(context!).takeRetainedValue().body()
      return nil
    }, Unmanaged.passRetained(Work(body)).toOpaque())
  precondition(result == 0)
  pthread_detach(thread)
}
