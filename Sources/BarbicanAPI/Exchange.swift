import CCurl
import FoundationEssentials
import Glibc
import SecretMemory

/// One request and its answer; what libcurl's callbacks work on.
// @unchecked: one thread at a time has it. The sender makes it and hands it to the thread that performs
// it; that thread lets go before it resumes the sender.
final class Exchange: @unchecked Sendable {
  private let request: HTTPTransport.Request
  private let transport: HTTPTransport
  private let timeout: Duration
  /// How much of the request's body is sent.
  private var sent = 0
  private var text = Data()
  private var secret: SecretBytes?
  /// How much of `secret` is filled.
  private var secretCount = 0
  private var status = 0
  private var contentType = ""
  /// Set while a transfer runs.
  private var handle: UnsafeMutableRawPointer?
  /// Why there is no answer.
  var failure: HTTPTransportError?

  init(_ request: consuming HTTPTransport.Request, through transport: HTTPTransport) {
    timeout = request.timeout ?? transport.timeout
    self.request = request
    self.transport = transport
  }

  /// Whether the connection can serve again, and no secret went through libcurl's buffers.
  var isConnectionClean: Bool {
    !request.hasSecret && !request.wantsSecret && failure == nil
  }

  func perform(on easy: EasyHandle) {
    let handle = easy.raw
    self.handle = handle
    defer { self.handle = nil }
    curl_easy_reset(handle)
    easy.errorText[0] = 0
    coffer_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, easy.errorText)
    setEndpoint(handle)
    setLimits(handle)
    setMethod(handle)
    setCallbacks(handle)
    let headers = headerList()
    defer { curl_slist_free_all(headers) }
    coffer_curl_set_pointer(handle, CURLOPT_HTTPHEADER, headers)
    guard failure == nil else { return }
    let result = performOnceTaken(handle)
    if result == CURLE_OK {
      status = Int(coffer_curl_status(handle))
      contentType = mediaType(coffer_curl_content_type(handle))
    } else if failure == nil {
      let detail = String(cString: easy.errorText)
      failure = HTTPTransportError(
        result, errno: Int32(coffer_curl_errno(handle)),
        detail: detail.isEmpty ? String(cString: curl_easy_strerror(result)) : detail,
        endpoint: transport.endpoint, timeout: timeout)
    }
  }

  /// Performs the transfer; tries again while a Unix socket's queue of connections is full.
  private func performOnceTaken(_ handle: UnsafeMutableRawPointer) -> CURLcode {
    let deadline = ContinuousClock.now + min(transport.connectTimeout, timeout)
    while true {
      let result = curl_easy_perform(handle)
      // libcurl gives no errno when connect(2) said EAGAIN.
      guard case .unixSocket = transport.endpoint.address, result == CURLE_COULDNT_CONNECT,
        coffer_curl_errno(handle) == 0, ContinuousClock.now < deadline
      else { return result }
      usleep(5000)
    }
  }

  /// The answer, once.
  func finish() throws(HTTPTransportError) -> HTTPTransport.Response {
    if let failure { throw failure }
    return HTTPTransport.Response(
      status: status, contentType: contentType, text: text, secret: try finishSecret(),
      endpoint: transport.endpoint)
  }

  private func finishSecret() throws(HTTPTransportError) -> SecretBytes? {
    guard request.wantsSecret, isGood(status) else { return nil }
    do {
      guard let received = secret.take() else { return try .zeroed(count: 0) }
      return received.count == secretCount ? received : try received.prefix(secretCount)
    } catch {
      throw .noResources("\(error)")
    }
  }

  // MARK: What libcurl is told

  private func setEndpoint(_ handle: UnsafeMutableRawPointer) {
    switch transport.endpoint.address {
    case .unixSocket(let path):
      require(coffer_curl_set_text(handle, CURLOPT_UNIX_SOCKET_PATH, path))
      require(coffer_curl_set_text(handle, CURLOPT_PROXY, ""))
      require(coffer_curl_set_text(handle, CURLOPT_URL, "http://localhost\(request.target)"))
    case .url(let base, let caFile):
      require(coffer_curl_set_text(handle, CURLOPT_URL, base + request.target))
      if let caFile { require(coffer_curl_set_text(handle, CURLOPT_CAINFO, caFile)) }
      // Without TLS nothing may leave this machine.
      if base.hasPrefix("http:") { require(coffer_curl_set_text(handle, CURLOPT_PROXY, "")) }
    }
    require(coffer_curl_set_number(handle, CURLOPT_PATH_AS_IS, 1))
    require(coffer_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https"))
    require(coffer_curl_set_number(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1))
  }

  /// Without one of these options the request could go elsewhere.
  private func require(_ result: CURLcode) {
    guard result != CURLE_OK, failure == nil else { return }
    failure = .noResources(String(cString: curl_easy_strerror(result)))
  }

  private func setLimits(_ handle: UnsafeMutableRawPointer) {
    coffer_curl_set_number(handle, CURLOPT_NOSIGNAL, 1)
    coffer_curl_set_number(handle, CURLOPT_MAXCONNECTS, 1)
    coffer_curl_set_number(
      handle, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(transport.connectTimeout))
    coffer_curl_set_number(handle, CURLOPT_TIMEOUT_MS, milliseconds(timeout))
    if request.method == .post { coffer_curl_set_number(handle, CURLOPT_FRESH_CONNECT, 1) }
  }

  private func setMethod(_ handle: UnsafeMutableRawPointer) {
    let count = request.withBody(\.count)
    if request.method == .post || request.method == .put || count > 0 {
      coffer_curl_set_number(handle, CURLOPT_POST, 1)
      coffer_curl_set_size(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(count))
    }
    coffer_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, request.method.rawValue)
  }

  private func headerList() -> UnsafeMutablePointer<curl_slist>? {
    // An empty value takes out the header that libcurl would send by itself.
    var headers = ["Expect": "", "User-Agent": "coffer", "Accept": "application/json"]
    headers["Content-Type"] = request.contentType ?? ""
    headers.merge(request.headers) { _, own in own }
    var list: UnsafeMutablePointer<curl_slist>?
    for (name, value) in headers {
      let line = value.isEmpty ? "\(name):" : "\(name): \(value)"
      list = curl_slist_append(list, line)
    }
    return list
  }

  private func setCallbacks(_ handle: UnsafeMutableRawPointer) {
    let context = Unmanaged.passUnretained(self).toOpaque()
    coffer_curl_set_transfer(handle, CURLOPT_WRITEFUNCTION) { buffer, size, count, context in
      Exchange.of(context).receive(UnsafeRawBufferPointer(start: buffer, count: size * count))
        ? size * count : 0
    }
    coffer_curl_set_pointer(handle, CURLOPT_WRITEDATA, context)
    coffer_curl_set_transfer(handle, CURLOPT_READFUNCTION) { buffer, size, count, context in
      Exchange.of(context).provide(
        UnsafeMutableRawBufferPointer(start: buffer, count: size * count))
    }
    coffer_curl_set_pointer(handle, CURLOPT_READDATA, context)
    coffer_curl_set_seek(handle) { context, offset, origin in
      guard origin == SEEK_SET else { return CURL_SEEKFUNC_CANTSEEK }
      Exchange.of(context).sent = Int(offset)
      return CURL_SEEKFUNC_OK
    }
    coffer_curl_set_pointer(handle, CURLOPT_SEEKDATA, context)
  }

  private static func of(_ context: UnsafeMutableRawPointer?) -> Exchange {
    Unmanaged<Exchange>.fromOpaque(context!).takeUnretainedValue()
  }

  // MARK: What libcurl calls

  /// The next piece of the request's body; returns its length, 0 at the end.
  private func provide(_ target: UnsafeMutableRawBufferPointer) -> Int {
    let count = request.withBody { source in
      let piece = source[sent..<min(sent + target.count, source.count)]
      target.copyBytes(from: piece)
      return piece.count
    }
    sent += count
    return count
  }

  /// Takes a piece of the answer's body. False ends the transfer; `failure` then says why.
  private func receive(_ piece: UnsafeRawBufferPointer) -> Bool {
    guard let handle else { return false }
    do throws(HTTPTransportError) {
      if request.wantsSecret, isGood(Int(coffer_curl_status(handle))) {
        try receiveSecret(piece, announced: Int(coffer_curl_content_length(handle)))
      } else {
        guard text.count + piece.count <= transport.bodyBound else {
          throw .tooLarge(transport.endpoint, bound: transport.bodyBound)
        }
        text.append(contentsOf: piece)
      }
      return true
    } catch {
      failure = error
      return false
    }
  }

  /// - Parameter announced: the length that the answer says it has, or -1.
  private func receiveSecret(
    _ piece: UnsafeRawBufferPointer, announced: Int
  ) throws(HTTPTransportError) {
    let bound = transport.secretBound
    guard announced <= bound, secretCount + piece.count <= bound else {
      throw .tooLarge(transport.endpoint, bound: bound)
    }
    if secret == nil {
      do {
        secret = try .zeroed(count: announced >= 0 ? announced : bound)
      } catch {
        throw .noResources("\(error)")
      }
    }
    let start = secretCount
    secret?.withUnsafeMutableBytes { target in
      target[start..<start + piece.count].copyBytes(from: piece)
    }
    secretCount += piece.count
  }
}

private func isGood(_ status: Int) -> Bool { (200..<300).contains(status) }

private func milliseconds(_ duration: Duration) -> Int {
  let (seconds, attoseconds) = duration.components
  return max(1, Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000))
}

/// The media type that a Content-Type names, in lowercase, without parameters.
private func mediaType(_ header: UnsafePointer<CChar>?) -> String {
  guard let header else { return "" }
  let type = String(cString: header).prefix { $0 != ";" && $0 != " " }
  return type.lowercased()
}
