import ArgumentParser
import HostSystem

/// The command line: keys, volumes and attachments.
@main
struct Coffer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "coffer",
    abstract: "Encrypted block volumes whose keys live in a key manager.",
    discussion: """
      A volume is a LUKS2 image. Attaching it fetches its key by ID and serves the decrypted image \
      through FUSE:

        coffer volume create data --size 10G
        coffer attach data /mnt/data      # the decrypted image is /mnt/data/volume
        coffer detach /mnt/data

      Exit codes: 0 done; 1 unexpected; 2 usage; 3 not found; 4 not permitted; 5 in use, or there \
      already; 6 key manager unavailable; 7 wrong key; 8 image damaged or unsupported; 9 mountpoint \
      unusable; 10 no FUSE; 11 input/output error or no space.
      """,
    version: cofferVersion,
    subcommands: [
      KeyCommand.self, VolumeCommand.self, Attach.self, Detach.self, Mount.self,
      AttachmentCommand.self, MasterKeyCommand.self, AuditCommand.self, BenchCommand.self,
    ])

  static func main() async {
    ProcessHardening.apply()
    await run(arguments: Array(CommandLine.arguments.dropFirst()))
    ProcessEnd.now(0)
  }

  private static func run(arguments: [String]) async {
    var parsed: (any ParsableCommand)?
    do {
      var command = try parseAsRoot(arguments)
      parsed = command
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch {
      Failure.exit(with: error, from: parsed)
    }
  }
}

/// The version of all three programs.
let cofferVersion = "0.1.0"
