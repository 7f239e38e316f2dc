import ArgumentParser
import CofferService
import HostSystem

/// The key manager and volume service of one machine.
@main
struct Cofferd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cofferd",
    abstract: "Keeps keys and volumes, and serves them on a Unix socket.",
    version: Daemon.version,
    subcommands: [Serve.self, Worker.self],
    defaultSubcommand: Serve.self)

  static func main() async {
    // Before any thread, and before the first key.
    ProcessHardening.apply()
    await main(nil)
    ProcessEnd.now(0)
  }
}
