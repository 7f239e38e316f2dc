import Glibc
import HTTPTypes
import HostSystem
import Hummingbird
import KeyManager

/// What a route knows of a request besides the request itself.
struct Call: Hummingbird.RequestContext {
  var coreContext: CoreRequestContextStorage
  var microversion = Microversion.oldest
  var projects = ProjectDirectory.privateProjects
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
  /// Root and the service's own user may name any project in `X-Project-Id`, others one that they are a
  /// member of.
  func keyContext(_ request: Request) throws(ServiceError) -> KeyContext {
    let uid = try caller().uid
    let wish = request.headers[.projectID]
    if mayAdminister, let wish {
      guard ProjectDirectory.isProjectName(wish) else {
        throw ServiceError(
          .badRequest, "X-Project-Id must have 1 to 255 printable ASCII characters without spaces")
      }
      return KeyContext(
        user: KeyContext.local(uid: uid).user, project: wish, roles: Set(Role.allCases))
    }
    guard let context = projects.context(uid: uid, wish: wish) else {
      throw ServiceError(
        .forbidden, "user \(uid) is a member of no project", reason: .notAuthorized,
        advice: "The administrator adds members in the service's configuration.")
    }
    return context
  }

  /// Whether the caller is root or the service's own user.
  var mayAdminister: Bool { peer.map { $0.uid == 0 || $0.uid == geteuid() } ?? false }

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
