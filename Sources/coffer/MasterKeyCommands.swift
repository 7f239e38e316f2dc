import ArgumentParser
import BarbicanAPI
import HostSystem
import KeyStore
import VolumeAPI

struct MasterKeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "master-key", abstract: "The key that wraps all others; for the administrator.",
    subcommands: [Status.self, Renew.self, Init.self])

  struct Status: AsyncParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show which master key is in force, where it is, and since when.")

    @OptionGroup var service: ServiceOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      show(try await service.connect().keys.masterKey())
    }
  }

  struct Renew: AsyncParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(
      abstract: "Replace the master key by a new one.",
      discussion: """
        Keys are served meanwhile, and none of them changes: each project's key is wrapped anew. A crash \
        at any moment leaves one master key that opens everything.
        """)

    @OptionGroup var service: ServiceOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      show(try await service.connect().keys.renewMasterKey())
    }
  }

  struct Init: ParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(
      commandName: "init",
      abstract: "Make a first master key in a file, before cofferd runs with it.",
      discussion: """
        Without this, cofferd makes one at its first start. The file is for its owner alone (mode 0600) \
        and must belong to the user who runs cofferd. Passed through systemd-creds encrypt, it can be a \
        credential. A file that is there is never replaced.
        """)

    @Option(help: "The file to make.", completion: .file()) var file: String
    @Option(
      help: "Put the key under the passphrase in this file; one newline at its end is dropped.",
      completion: .file())
    var passphraseFile: String?
    @OptionGroup var output: OutputOptions

    func run() throws {
      let path = PathName.absolute(file)
      do {
        let passphrase = try passphraseFile.map { try Passphrase.read(file: PathName.absolute($0)) }
        let id = try FileMasterKeyStore(path: path, passphrase: passphrase).makeFirst()
        show(
          MasterKeyDocument(id: id.description, store: path, savedAt: nil, projects: 0),
          fields: [("ID", id.description), ("Store", path)])
      } catch let error as MasterKeyStoreError {
        throw VolumeError(error)
      } catch let error as EmptyStoreError {
        throw VolumeError(.noSuchImage, "there is no file \(error.store)")
      }
    }
  }
}

extension PrintingCommand {
  fileprivate func show(_ key: MasterKeyDocument) {
    show(
      key,
      fields: [
        ("ID", key.id), ("Store", key.store), ("In force since", key.savedAt ?? "not known"),
        ("Next renewal", key.renewalAt ?? "by command"),
        ("Projects", String(key.projects)),
      ])
  }
}

extension VolumeError {
  fileprivate init(_ error: MasterKeyStoreError) {
    let code: VolumeErrorCode =
      switch error {
      case .occupied: .alreadyExists
      case .unsafe, .readOnly, .locked: .notAuthorized
      case .malformed: .invalidRequest
      }
    self.init(code, error.description)
  }
}
