import Dispatch
import FoundationEssentials
import Glibc
import HostSystem

/// A plain socket to the service: what goes over it is exactly what a test says.
final class Connection: Sendable {
  private let socket: Descriptor

  init(_ path: String) throws {
    socket = try UnixSocket.connect(to: path)
    // A service that does not answer makes a test fail instead of hang.
    var patience = timeval(tv_sec: 30, tv_usec: 0)
    setsockopt(
      socket.rawValue, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  func send(_ text: String) throws {
    try send(Array(text.utf8))
  }

  func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(socket.rawValue, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw Failure("send") }
      sent += count
    }
  }

  /// Says that nothing more will be sent.
  func finishSending() {
    shutdown(socket.rawValue, Int32(SHUT_WR))
  }

  /// All that comes until a text has come.
  func everything(until end: String) throws -> String {
    var text = ""
    var chunk = [UInt8](repeating: 0, count: 65536)
    while !text.contains(end) {
      let count = recv(socket.rawValue, &chunk, chunk.count, 0)
      guard count > 0 else { throw Failure("recv") }
      text += String(decoding: chunk[..<count], as: UTF8.self)
    }
    return text
  }

  /// The next answer; nil when the service closes the connection instead.
  func answer() throws -> Answer? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      if let answer = Answer(bytes) { return answer }
      let count = recv(socket.rawValue, &chunk, chunk.count, 0)
      if count == 0 || (count < 0 && errno == ECONNRESET) { return nil }
      guard count > 0 else { throw Failure("recv") }
      bytes += chunk[..<count]
    }
  }
}

/// An answer of the service.
struct Answer: Sendable, Equatable {
  let status: Int
  /// Names in lower case.
  let headers: [String: String]
  let body: [UInt8]

  /// Nil while `bytes` do not hold a whole answer.
  init?(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    guard text.hasPrefix("HTTP/1.1 "), let end = Self.headEnd(bytes) else { return nil }
    let lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n")
    guard let code = lines[0].split(separator: " ").dropFirst().first, let status = Int(code) else {
      return nil
    }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      headers[line[..<colon].lowercased()] = String(value)
    }
    let length = headers["content-length"].flatMap { Int($0) } ?? 0
    guard bytes.count >= end + 4 + length else { return nil }
    self.status = status
    self.headers = headers
    body = Array(bytes[(end + 4)...].prefix(length))
  }

  private static func headEnd(_ bytes: [UInt8]) -> Int? {
    guard bytes.count >= 4 else { return nil }
    return (0...(bytes.count - 4)).first { bytes[$0..<($0 + 4)].elementsEqual([13, 10, 13, 10]) }
  }

  var text: String { String(decoding: body, as: UTF8.self) }

  func json<Document: Decodable>(_ type: Document.Type) throws -> Document {
    try JSONDecoder().decode(type, from: Data(body))
  }

  /// The `description` of an error.
  var explanation: String? {
    struct Error: Decodable { var description: String }
    return try? json(Error.self).description
  }

  /// The `reason` of an error.
  var reason: String? {
    struct Error: Decodable { var reason: String? }
    return try? json(Error.self).reason
  }

  /// The ID at the end of the `Location`.
  var location: String? { headers["location"]?.split(separator: "/").last.map { String($0) } }

  /// Without what changes from one answer to the next.
  var comparable: Answer {
    var headers = headers
    headers["date"] = nil
    return Answer(status: status, headers: headers, body: body)
  }

  private init(status: Int, headers: [String: String], body: [UInt8]) {
    self.status = status
    self.headers = headers
    self.body = body
  }
}

/// The text of a request with a body that is declared as it should be.
func requestText(
  _ method: String, _ path: String, _ headers: [String: String] = [:], body: String? = nil
) -> String {
  var lines = ["\(method) \(path) HTTP/1.1", "Host: localhost"]
  lines += headers.map { "\($0): \($1)" }
  if let body { lines.append("Content-Length: \(body.utf8.count)") }
  return lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")
}

/// Runs what blocks on a thread of its own, so that it takes none from the service in this process.
func blocking<Value: Sendable>(
  _ body: @escaping @Sendable () throws -> Value
) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    DispatchQueue(label: "test client").async {
      continuation.resume(with: Result { try body() })
    }
  }
}
