import ArgumentParser
import FoundationEssentials
import HostSystem
import KeyStore
import VolumeAPI

struct AuditCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "Who asked for which key; for the administrator.",
    subcommands: [Show.self, Verify.self])

  struct LogOptions: ParsableArguments {
    @Option(
      help: "The log; private/audit.log in the service's state directory otherwise.",
      completion: .file())
    var file: String?

    func read() throws -> (path: String, content: Data) {
      let path =
        try file.map(PathName.absolute)
        ?? "\(StateDirectory.path(for: .current))/private/audit.log"
      do {
        return (path, try Data(contentsOf: URL(filePath: path)))
      } catch {
        throw VolumeError(
          .noSuchImage, "cannot read the audit log \(path): \(error.localizedDescription)",
          advice: "It is for root or the service's user; name another with --file.")
      }
    }
  }

  struct Show: ParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show the events, oldest first.",
      discussion:
        "The log never holds a key's value. Where the chain is broken, it ends with an error.")

    @Option(help: "Only what was asked for this key.") var key: String?
    @OptionGroup var log: LogOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      let (path, content) = try log.read()
      var events: [AuditEvent] = []
      let verification = AuditVerification(of: content) { event in
        if key == nil || event.keyID == key { events.append(event) }
      }
      show(
        events, header: ["TIME", "UID", "PID", "PROCESS", "PROJECT", "OPERATION", "KEY", "OUTCOME"]
      ) { event in
        [
          event.time, String(event.uid), String(event.pid), event.process ?? "-", event.project,
          event.operation, event.keyID ?? "-", event.outcome,
        ]
      }
      if let line = verification.firstBadLine {
        throw VolumeError(.internalFailure, "\(path): line \(line) was changed or does not follow")
      }
    }
  }

  struct Verify: ParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check that no event was changed, removed or put in.",
      discussion: """
        A chain of hashes cannot show that events at its end are missing, nor that all of it was made \
        anew by somebody who may write to the file. Note the hash that this prints elsewhere, and give it \
        with --noted the next time: every event up to it is then shown to be as it was.
        """)

    @Option(help: "A hash that an earlier verification printed.") var noted: String?
    @OptionGroup var log: LogOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      let (path, content) = try log.read()
      let found = AuditVerification(of: content, noted: noted)
      if let line = found.firstBadLine {
        throw VolumeError(
          .internalFailure,
          "\(path): line \(line) was changed, or a line before it was removed or put in",
          advice: "The \(found.lines) lines before it are whole.")
      }
      if found.endsWithinALine {
        throw VolumeError(
          .internalFailure, "\(path): its last line is cut short, by a crash or by somebody",
          advice: "The \(found.lines) lines before it are whole.")
      }
      if found.foundNotedHash == false {
        throw VolumeError(
          .internalFailure,
          "\(path): the noted hash is not in it: events were removed at its end, or it was made anew"
        )
      }
      show(
        VerificationOutput(events: found.lines, last_hash: found.lastHash),
        fields: [("Events", String(found.lines)), ("Last hash", found.lastHash)])
    }
  }
}

/// A verification as `--json` prints it.
// swift-format-ignore: AlwaysUseLowerCamelCase
private struct VerificationOutput: Encodable {
  let events: Int
  let last_hash: String
}
