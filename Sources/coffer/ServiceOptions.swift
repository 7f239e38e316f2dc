import ArgumentParser
import VolumeAPI

/// Which service, and for whom.
struct ServiceOptions: ParsableArguments {
  @Option(
    help: "The service's socket; COFFER_SOCKET, the machine's or your own otherwise.",
    completion: .file())
  var socket: String?

  @Option(help: "Act for this project of yours; root and the service's user, for any.") var project:
    String?

  func connect() async throws(VolumeError) -> Service {
    try await Service.connect(socket: socket, project: project)
  }
}
