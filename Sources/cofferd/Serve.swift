import ArgumentParser
import CofferService
import Glibc
import HostSystem
import Logging
import VolumeAPI

/// `cofferd [serve]`.
struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serves until it is told to stop (SIGTERM, SIGINT).",
    discussion: """
      Run by root without --idle-exit, every user may connect; else only its own user.

      Exit codes: 0 stopped as told; 1 failure; 2 another instance has the state directory or the \
      socket; 3 the state directory, the master key or a database cannot be used; 4 what a crash left \
      behind cannot be repaired; 5 the socket cannot be made; 6 the \
      configuration cannot be used; 64 wrong arguments.
      """)

  @Option(
    help: ArgumentHelp(
      "Where keys and volumes are kept (default: /var/lib/coffer for root, coffer in XDG_DATA_HOME "
        + "or ~/.local/share for others).", valueName: "dir"))
  var state: String?

  @Option(
    help: ArgumentHelp(
      "Where to listen (default: COFFER_SOCKET, or /run/coffer/cofferd.sock for root, "
        + "coffer/cofferd.sock in XDG_RUNTIME_DIR for others).", valueName: "path"))
  var socket: String?

  @Option(
    help: ArgumentHelp(
      "The configuration: projects with their members, the master key (default for root: "
        + "/etc/coffer/cofferd.conf if it is there).", valueName: "file"))
  var config: String?

  @Option(
    help: ArgumentHelp(
      "Stop after so long without a request while nothing is attached.", valueName: "seconds"))
  var idleExit: Int?

  @Option(
    help: ArgumentHelp(
      "Descriptor to write 'ready' to, or an error as JSON, for a program that starts this one.",
      valueName: "n"))
  var readyFd: Int32?

  @Option(help: "trace, debug, info, notice, warning, error or critical.")
  var logLevel = "notice"

  func validate() throws {
    guard Logger.Level(rawValue: logLevel) != nil else {
      throw ValidationError("'\(logLevel)' is no log level")
    }
    if let idleExit, !(1...31_536_000).contains(idleExit) {
      throw ValidationError("--idle-exit takes 1 second to one year")
    }
    if let readyFd, fcntl(readyFd, F_GETFD) < 0 {
      throw ValidationError("--ready-fd: descriptor \(readyFd) is not open")
    }
  }

  func run() async throws {
    do {
      try await Daemon(options()).run()
    } catch let error as DaemonError {
      let line = "cofferd: \(error)\n"
      _ = write(STDERR_FILENO, line, line.utf8.count)
      throw ExitCode(error.code.rawValue)
    }
  }

  private func options() throws -> DaemonOptions {
    let user = UserEnvironment.current
    let location = try ServiceLocation.find(socket: socket, for: user)
    try location.prepareDirectory(for: user)
    return DaemonOptions(
      state: try state.map(PathName.absolute) ?? StateDirectory.path(for: user),
      socket: location.socket,
      configuration: config.map(PathName.absolute) ?? DaemonOptions.defaultConfiguration,
      idleExit: idleExit.map { .seconds($0) }, readyDescriptor: readyFd,
      logLevel: Logger.Level(rawValue: logLevel) ?? .notice)
  }
}
