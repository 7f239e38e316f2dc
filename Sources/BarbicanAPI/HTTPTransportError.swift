import CCurl
import Glibc

/// Why no answer was had, or none that makes sense.
public struct HTTPTransportError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Code: String, Sendable {
    /// Nobody listens, or the connection broke.
    case unreachable
    /// This user may not connect.
    case notPermitted
    /// No complete answer in time.
    case timedOut
    /// The other side could not prove who it is.
    case untrusted
    /// What answers speaks something else.
    case strange
    /// The answer is larger than the bound.
    case tooLarge
    /// The request cannot be sent as it is.
    case invalidRequest
    /// No memory or no thread here.
    case noResources
  }

  public let code: Code
  /// What failed, on what, why.
  public let message: String
  /// What to do next.
  public let advice: String

  public var description: String { "\(message). \(advice)" }

  static func strange(_ endpoint: HTTPEndpoint, _ reason: String) -> HTTPTransportError {
    HTTPTransportError(
      code: .strange,
      message: "what answers at \(endpoint) is not the service that was expected: \(reason)",
      advice: "Check the socket or URL")
  }

  static func tooLarge(_ endpoint: HTTPEndpoint, bound: Int) -> HTTPTransportError {
    HTTPTransportError(
      code: .tooLarge, message: "the answer from \(endpoint) is larger than \(bound) bytes",
      advice: "Check the socket or URL")
  }

  static func invalidRequest(_ reason: String) -> HTTPTransportError {
    HTTPTransportError(
      code: .invalidRequest, message: "cannot send the request: \(reason)",
      advice: "Check the arguments")
  }

  static func noResources(_ reason: String) -> HTTPTransportError {
    HTTPTransportError(
      code: .noResources, message: "cannot send a request: \(reason)",
      advice: "Close programs or raise this one's limits, and try again")
  }

  /// - Parameters:
  ///   - number: the errno of the connection attempt, or 0.
  ///   - detail: libcurl's own words.
  init(
    _ code: CURLcode, errno number: Int32, detail: String, endpoint: HTTPEndpoint,
    timeout: Duration
  ) {
    let service: String
    let start: String
    switch endpoint.address {
    case .unixSocket:
      service = "the service at \(endpoint)"
      start = "Is cofferd running? Start it, or name its socket with --socket or COFFER_SOCKET"
    case .url:
      service = "the key manager at \(endpoint)"
      start = "Check the URL, the network and that the key manager is running"
    }
    let reason =
      switch (number, endpoint.address) {
      case (0, .unixSocket): "it takes no more connections"
      case (0, .url): detail
      default: String(cString: strerror(number))
      }
    switch code {
    case CURLE_COULDNT_CONNECT where number == EACCES || number == EPERM:
      self.init(
        code: .notPermitted, message: "cannot connect to \(service): \(reason)",
        advice: "Ask its administrator for access, or name your own socket with --socket")
    case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY:
      self.init(
        code: .unreachable, message: "cannot connect to \(service): \(reason)", advice: start)
    case CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE, CURLE_SEND_ERROR, CURLE_RECV_ERROR:
      self.init(
        code: .unreachable, message: "the connection to \(service) broke: \(detail)",
        advice: "Try again. \(start)")
    case CURLE_OPERATION_TIMEDOUT:
      self.init(
        code: .timedOut, message: "\(service) did not answer within \(timeout)",
        advice: "Try again; if it stays so, look into its log")
    case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CACERT_BADFILE,
      CURLE_SSL_CERTPROBLEM:
      self.init(
        code: .untrusted, message: "no trusted connection to \(service): \(detail)",
        advice: "Check the URL and the certificate authority's file")
    case CURLE_OUT_OF_MEMORY:
      self = .noResources("out of memory")
    default:
      self = .strange(endpoint, detail)
    }
  }

  private init(code: Code, message: String, advice: String) {
    self.code = code
    self.message = message
    self.advice = advice
  }
}
