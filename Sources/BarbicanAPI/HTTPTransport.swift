import CCurl
import Glibc
import Synchronization

/// Sends requests to one endpoint through libcurl, each on a thread of its own, so that waiting blocks
/// none of Swift's.
///
/// A connection is kept for the next request, but not after a secret came through it: closing it frees
/// libcurl's buffers, and in our programs that wipes them. A POST goes through a new connection, because
/// libcurl repeats a request when a kept connection turns out to be dead.
public final class HTTPTransport: Sendable {
  public let endpoint: HTTPEndpoint
  /// How long connecting may take.
  let connectTimeout: Duration
  /// How long an exchange may take in all.
  let timeout: Duration
  /// The largest body taken, in bytes.
  let bodyBound: Int
  /// The largest secret taken, in bytes.
  let secretBound: Int
  private let idle = Mutex<[EasyHandle]>([])

  /// - Parameters:
  ///   - bodyBound: the largest body taken, in bytes.
  ///   - secretBound: the largest secret taken, in bytes; Barbican keeps up to 20 000.
  public init(
    _ endpoint: HTTPEndpoint, connectTimeout: Duration = .seconds(5),
    timeout: Duration = .seconds(30), bodyBound: Int = 16 << 20, secretBound: Int = 64 << 10
  ) {
    self.endpoint = endpoint
    self.connectTimeout = connectTimeout
    self.timeout = timeout
    self.bodyBound = bodyBound
    self.secretBound = secretBound
  }

  /// The answer to `request`, whatever its status.
  public func send(
    _ request: consuming Request
  ) async throws(HTTPTransportError) -> Response {
    guard request.headers.values.allSatisfy(isHeaderValue) else {
      throw .invalidRequest("a header cannot hold control characters")
    }
    let exchange = Exchange(request, through: self)
    let started = await withCheckedContinuation { continuation in
      let thread = startThread {
        self.perform(exchange)
        continuation.resume(returning: Int32(0))
      }
      if thread != 0 { continuation.resume(returning: thread) }
    }
    guard started == 0 else { throw .noResources(String(cString: strerror(started))) }
    return try exchange.finish()
  }

  private func perform(_ exchange: Exchange) {
    let kept = idle.withLock { $0.popLast() }
    guard let handle = kept ?? EasyHandle() else {
      exchange.failure = .noResources("libcurl does not start")
      return
    }
    exchange.perform(on: handle)
    if exchange.isConnectionClean {
      idle.withLock { $0.append(handle) }
    }
  }
}

/// An easy handle of libcurl with its connection.
// @unchecked: a handle belongs to one exchange at a time. HTTPTransport takes it out of its list under a
// lock before the use and puts it back after; libcurl allows that from any thread.
final class EasyHandle: @unchecked Sendable {
  let raw: UnsafeMutableRawPointer
  let errorText: UnsafeMutablePointer<CChar>

  private static let isLibraryReady = coffer_curl_initialize() == CURLE_OK

  init?() {
    guard Self.isLibraryReady, let raw = curl_easy_init() else { return nil }
    self.raw = raw
    errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
    errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
  }

  deinit {
    curl_easy_cleanup(raw)
    errorText.deallocate()
  }
}

/// Whether it has no control characters; a line break would start another header.
private func isHeaderValue(_ text: String) -> Bool {
  text.utf8.allSatisfy { $0 >= 32 && $0 != 127 }
}

/// Runs `body` on a new detached thread that takes no signals. Returns an errno, 0 when it started.
private func startThread(_ body: @escaping @Sendable () -> Void) -> Int32 {
  final class Work: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var attributes = pthread_attr_t()
  pthread_attr_init(&attributes)
  defer { pthread_attr_destroy(&attributes) }
  pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
  let work = Unmanaged.passRetained(Work(body))
  var thread = pthread_t()
  let result = pthread_create(
    &thread, &attributes,
    { context in
      var all = sigset_t()
      sigfillset(&all)
      pthread_sigmask(SIG_SETMASK, &all, nil)
      Unmanaged<Work>.fromOpaque(context!).takeRetainedValue().body()
      return nil
    }, work.toOpaque())
  if result != 0 { work.release() }
  return result
}
