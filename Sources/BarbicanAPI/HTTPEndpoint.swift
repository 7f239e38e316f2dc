/// Where requests go.
public enum HTTPEndpoint: Sendable, Equatable, CustomStringConvertible {
  /// The Unix socket at this path, at most 107 bytes long (unix(7)).
  case unixSocket(String)
  /// A URL without a slash at its end; `caFile` is a PEM file to trust instead of the system's.
  case url(String, caFile: String?)

  /// A URL to send keys to: `https`, or `http` to this machine alone; nil for any other.
  public init?(url: String, caFile: String? = nil) {
    var base = url
    while base.hasSuffix("/") { base.removeLast() }
    let local = ["127.0.0.1", "[::1]", "localhost"].contains { host in
      base == "http://\(host)" || base.hasPrefix("http://\(host):")
        || base.hasPrefix("http://\(host)/")
    }
    guard !base.contains("@"), local || base.hasPrefix("https://") && base.utf8.count > 8 else {
      return nil
    }
    self = .url(base, caFile: caFile)
  }

  /// The path or the URL.
  public var description: String {
    switch self {
    case .unixSocket(let path): path
    case .url(let url, _): url
    }
  }
}
