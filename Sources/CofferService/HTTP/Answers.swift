import BarbicanAPI
import FoundationEssentials
import HTTPTypes
import Hummingbird
import NIOCore
import SecretMemory

extension Response {
  static func json(
    _ document: some Encodable, status: HTTPResponse.Status = .ok, location: String? = nil
  ) throws -> Response {
    let text = try JSONText.encode(document)
    var headers: HTTPFields = [.contentType: "application/json"]
    if let location { headers[.location] = location }
    return Response(
      status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: text)))
  }

  static var noContent: Response { Response(status: .noContent) }

  /// A secret's bytes. The buffer lies on the heap, which clears what it frees.
  static func secret(_ value: borrowing SecretBytes, contentType: String) -> Response {
    let buffer = value.withUnsafeBytes { ByteBuffer(bytes: $0) }
    return Response(
      status: .ok, headers: [.contentType: contentType], body: ResponseBody(byteBuffer: buffer))
  }
}

extension Request {
  /// The URL under which the client reached the service, without a slash at its end.
  var base: String {
    let allowed = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]".utf8)
    guard let host = head.authority, (1...255).contains(host.utf8.count),
      host.utf8.allSatisfy(allowed.contains)
    else { return "http://localhost" }
    return "http://\(host)"
  }

  /// The media type of the body, in lower case without parameters.
  var mediaType: String? {
    headers[.contentType]?.split(separator: ";").first.map {
      String($0.filter { $0 != " " }).lowercased()
    }
  }
}
