import Glibc
import HTTPTypes
import HostSystem
import Hummingbird
import KeyManager

/// What a route knows of a request besides the request itself.
struct Call: Hummingbird.RequestContext {
  var coreContext: CoreRequestContextStorage
  var microversion = Microversion.oldest
  /// Who asks, as the kernel says.
  let peer: PeerCredentials?

  init(source: ApplicationRequestContextSource) {
    coreContext = CoreRequestContextStorage(source: source)
    peer = Peer.credentials
  }

  func caller() throws(ServiceError) -> PeerCredentials {
    guard let peer else {
      throw ServiceError(.internalServerError, "the kernel does not say who asks")
    }
    return peer
  }

  /// For whom the key manager and the volume manager act.
  ///
  /// Root and the service's own user may name a project in `X-Project-Id`. OpenStack's clients send that
  /// header whoever they are, so from others it is passed over, not refused.
  func keyContext(_ request: Request) throws(ServiceError) -> KeyContext {
    let uid = try caller().uid
    let own = KeyContext.local(uid: uid)
    guard uid == 0 || uid == geteuid(), let project = request.headers[.projectID] else {
      return own
    }
    guard (1...255).contains(project.utf8.count),
      project.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
    else {
      throw ServiceError(
        .badRequest, "X-Project-Id must have 1 to 255 printable ASCII characters without spaces")
    }
    return KeyContext(user: own.user, project: project, roles: Set(Role.allCases))
  }

  /// A part of the path, decoded.
  func parameter(_ name: String) throws(ServiceError) -> String {
    guard let text = parameters.get(name), let decoded = PercentEncoding.decode(text) else {
      throw ServiceError(.badRequest, "the path is not valid percent-encoded UTF-8")
    }
    return decoded
  }
}

extension HTTPField.Name {
  static let projectID = HTTPField.Name("X-Project-Id")!
  static let openStackVersion = HTTPField.Name("OpenStack-API-Version")!
}
