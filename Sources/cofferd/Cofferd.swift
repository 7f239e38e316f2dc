import ArgumentParser

/// The key manager and volume service of one machine.
@main
struct Cofferd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cofferd",
    abstract: "Keeps keys and volumes, and serves them on a Unix socket.",
    subcommands: [Worker.self])
}
