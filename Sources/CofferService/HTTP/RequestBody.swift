import BarbicanAPI
import CSecretMemory
import FoundationEssentials
import HTTPTypes
import Hummingbird
import NIOCore
import SecretMemory

extension Request {
  /// The whole body, of at most `limit` bytes, in locked memory.
  ///
  /// - Parameter tooLarge: thrown when there is more.
  func secretBody(limit: Int, tooLarge: ServiceError) async throws -> SecretBytes {
    let declared = headers[.contentLength].flatMap { Int($0) }.map { max($0, 0) }
    if let declared, declared > limit { throw tooLarge }
    var secret = try SecretBytes.zeroed(count: min(declared ?? 4096, 32_768))
    var length = 0
    var parts = body.makeAsyncIterator()
    while let part = try await parts.nextPart() {
      let total = length + part.readableBytes
      guard total <= limit else { throw tooLarge }
      if total > secret.count {
        secret = try secret.prefix(length, capacity: min(limit, max(total, 2 * secret.count)))
      }
      secret.withUnsafeMutableBytes { target in
        UnsafeMutableRawBufferPointer(rebasing: target[length..<total]).fill(movingFrom: part)
      }
      length = total
    }
    // Hummingbird takes the end of the connection for the end of the body.
    guard declared == nil || length == declared else { throw ServiceError.bodyCutShort }
    return try secret.prefix(length)
  }

  /// The JSON document in the body.
  ///
  /// - Parameter tooLarge: thrown when the body has more than `limit` bytes.
  func document<Document: Decodable>(
    _ type: Document.Type, limit: Int, tooLarge: ServiceError
  ) async throws -> Document {
    let body = try await secretBody(limit: limit, tooLarge: tooLarge)
    return try body.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress, !bytes.isEmpty else {
        throw ServiceError(.badRequest, "Malformed JSON: the body is empty")
      }
      let text = Data(
        bytesNoCopy: UnsafeMutableRawPointer(mutating: start), count: bytes.count,
        deallocator: .none)
      do {
        return try JSONText.decode(type, from: text)
      } catch let error as DecodingError {
        throw ServiceError(.badRequest, error.sentence)
      }
    }
  }
}

extension RequestBody.AsyncIterator {
  fileprivate mutating func nextPart() async throws(ServiceError) -> ByteBuffer? {
    do {
      return try await next()
    } catch {
      throw .bodyCutShort
    }
  }
}

extension ServiceError {
  fileprivate static let bodyCutShort = ServiceError(
    .badRequest, "the request's body ends before its end or is not well-formed")
}

extension SecretBytes {
  fileprivate borrowing func prefix(
    _ length: Int, capacity: Int
  ) throws(SecretMemoryError) -> SecretBytes {
    var larger = try SecretBytes.zeroed(count: capacity)
    withUnsafeBytes { source in
      larger.withUnsafeMutableBytes { target in
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<length]))
      }
    }
    return larger
  }
}

extension UnsafeMutableRawBufferPointer {
  /// Copies what was received and clears it in the receive buffer, which the connection uses again.
  ///
  /// The buffer's storage may be shared, but these bytes are not: the decoder gave them to this request
  /// and does not look back at them.
  fileprivate func fill(movingFrom buffer: ByteBuffer) {
    buffer.withUnsafeReadableBytes { source in
      guard let start = source.baseAddress else { return }
      copyMemory(from: source)
      coffer_wipe(UnsafeMutableRawPointer(mutating: start), source.count)
    }
  }
}

extension DecodingError {
  /// What is wrong with the document, without any of its values.
  fileprivate var sentence: String {
    func name(_ path: [any CodingKey]) -> String {
      path.map(\.stringValue).joined(separator: ".")
    }
    switch self {
    case .keyNotFound(let key, let context):
      return "the member '\(name(context.codingPath + [key]))' is missing"
    case .typeMismatch(_, let context) where context.codingPath.isEmpty:
      return "Malformed JSON: an object is expected"
    case .typeMismatch(let type, let context):
      return "the member '\(name(context.codingPath))' is not of type \(type)"
    case .valueNotFound(_, let context):
      return "the member '\(name(context.codingPath))' must not be null"
    case .dataCorrupted(let context) where !context.codingPath.isEmpty:
      return "the value of '\(name(context.codingPath))' is not valid"
    default:
      return "Malformed JSON, or a number that is out of its range"
    }
  }
}
