public import FoundationEssentials
public import SecretMemory

extension HTTPTransport {
  /// A request to a key manager or to the service for volumes.
  public struct Request: ~Copyable, Sendable {
    public enum Method: String, Sendable {
      case get = "GET"
      case post = "POST"
      case put = "PUT"
      case delete = "DELETE"
    }

    public let method: Method
    /// From the first slash on, percent-encoded, with the query.
    public let target: String
    /// The media type of the body; nil without one.
    public let contentType: String?
    public var headers: [String: String] = [:]
    /// Take the body of a good answer as a secret; `Response.secret` then has it.
    public var wantsSecret = false
    /// How long the whole exchange may take; the transport's own limit when nil.
    public var timeout: Duration?
    private let text: Data
    private let secret: SecretBytes?

    /// A request without a body.
    public init(_ method: Method, _ target: String) {
      self.method = method
      self.target = target
      contentType = nil
      text = Data()
      secret = nil
    }

    /// A request with JSON as its body.
    public init(_ method: Method, _ target: String, json document: some Encodable) {
      self.method = method
      self.target = target
      contentType = "application/json"
      // Documents are made of text and numbers, which JSON can always hold.
      text = try! JSONText.encode(document)
      secret = nil
    }

    /// A request with a secret as its body, which is sent from where it lies.
    public init(
      _ method: Method, _ target: String, secret: consuming SecretBytes, contentType: String
    ) {
      self.method = method
      self.target = target
      self.contentType = contentType
      text = Data()
      self.secret = consume secret
    }

    /// Whether the body is a secret.
    var hasSecret: Bool { secret != nil }

    /// Read access to the body. The pointer is valid only inside `work`.
    borrowing func withBody<Result>(_ work: (UnsafeRawBufferPointer) -> Result) -> Result {
      switch secret {
      case .some(let bytes): return bytes.withUnsafeBytes(work)
      case .none: return text.withUnsafeBytes(work)
      }
    }
  }

  /// What came back.
  public struct Response: ~Copyable, Sendable {
    public let status: Int
    /// The media type in lowercase, without parameters; empty when the answer said none.
    public let contentType: String
    /// The body, but for a secret.
    public let text: Data
    /// The body of a good answer to a request that wanted a secret; nil otherwise.
    public let secret: SecretBytes?
    /// Who answered, for messages.
    let endpoint: HTTPEndpoint

    /// Whether the status is of the kind 2xx.
    public var isSuccess: Bool { (200..<300).contains(status) }

    /// The JSON document in the body.
    public borrowing func document<Document: Decodable>(
      _ type: Document.Type
    ) throws(HTTPTransportError) -> Document {
      guard contentType == "application/json" else {
        let kind = contentType.isEmpty ? "no media type" : "'\(contentType)'"
        throw .strange(endpoint, "it answered with \(kind) where JSON was due")
      }
      do {
        return try JSONText.decode(type, from: text)
      } catch {
        throw .strange(endpoint, "its answer is not the JSON that was due (\(type))")
      }
    }

    /// The bytes in the body of an answer to a request that wanted a secret.
    public consuming func takeSecret() throws(HTTPTransportError) -> SecretBytes {
      guard let secret else { throw .strange(endpoint, "it answered without the value") }
      return secret
    }
  }
}
