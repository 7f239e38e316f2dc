/// Where requests go.
public struct HTTPEndpoint: Sendable, Equatable, CustomStringConvertible {
  enum Address: Sendable, Equatable {
    case unixSocket(path: String)
    /// Without a slash at its end; `caFile` is a PEM file to trust instead of the system's.
    case url(String, caFile: String?)
  }

  let address: Address

  private init(_ address: Address) {
    self.address = address
  }

  /// The Unix socket at this path, at most 107 bytes long (unix(7)).
  public static func unixSocket(_ path: String) -> HTTPEndpoint {
    HTTPEndpoint(.unixSocket(path: path))
  }

  /// A URL to send keys to: `https`, or `http` to this machine alone; nil for any other.
  ///
  /// - Parameter caFile: a PEM file of certificate authorities to trust instead of the system's.
  public init?(url: String, caFile: String? = nil) {
    var base = url
    while base.hasSuffix("/") { base.removeLast() }
    let isLocal = ["127.0.0.1", "[::1]", "localhost"].contains { host in
      base == "http://\(host)" || base.hasPrefix("http://\(host):")
        || base.hasPrefix("http://\(host)/")
    }
    guard !base.contains("@"), isLocal || base.hasPrefix("https://") && base.utf8.count > 8 else {
      return nil
    }
    self.init(.url(base, caFile: caFile))
  }

  /// The path or the URL.
  public var description: String {
    switch address {
    case .unixSocket(let path): path
    case .url(let url, _): url
    }
  }
}
