import ArgumentParser
import KeyManager
import SecretMemory
import VolumeAPI

struct KeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key", abstract: "Keys in the key manager.",
    subcommands: [Create.self, Import.self, List.self, Show.self, Delete.self])

  struct Create: AsyncParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(abstract: "Make a random key.")

    @Option(help: "A name for people.") var name: String?
    @Option(help: "What the key is for.") var algorithm = "aes"
    @Option(help: "The key's length in bits.") var bits = 256
    @OptionGroup var service: ServiceOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let service = try await service.connect()
      let id = try await service.keys.createKey(
        KeyAttributes(name: name, algorithm: algorithm, bitLength: bits), context: service.context)
      show(KeyOutput(try await service.keys.record(of: id, context: service.context)))
    }
  }

  struct Import: AsyncParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(
      abstract: "Store a key of yours, read from standard input or a file.",
      discussion: "A key is never taken from the command line, where other users could see it.")

    @Option(help: "A name for people.") var name: String?
    @Option(help: "What the key is for.") var algorithm = "aes"
    @Option(help: "How the key is written: raw, hex, base64, pem, or auto to find out.")
    var format = KeyFormat.raw
    @Option(help: "The file that holds it; standard input otherwise.", completion: .file())
    var file: String?
    @OptionGroup var service: ServiceOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let key = try format.decode(try SecretInput.read(file: file, limit: 64 * 1024))
      guard key.count > 0 else { throw VolumeError(.invalidRequest, "the key is empty") }
      let service = try await service.connect()
      let attributes = KeyAttributes(name: name, algorithm: algorithm, bitLength: key.count * 8)
      let id = try await service.keys.store(key, attributes, context: service.context)
      show(KeyOutput(try await service.keys.record(of: id, context: service.context)))
    }
  }

  struct List: AsyncParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(abstract: "List your keys.")

    @OptionGroup var service: ServiceOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let service = try await service.connect()
      var keys: [KeyOutput] = []
      while true {
        let page = try await service.keys.list(
          KeyQuery(limit: 100, offset: keys.count), context: service.context)
        keys += page.records.map { KeyOutput($0) }
        if page.records.isEmpty || keys.count >= page.total { break }
      }
      show(keys, header: ["ID", "ALGORITHM", "BITS", "CREATED", "NAME"]) { key in
        [
          key.id.description, key.algorithm ?? "-", key.bit_length.map(String.init) ?? "-",
          String(key.created_at.prefix(19)), key.name ?? "",
        ]
      }
    }
  }

  struct Show: AsyncParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show what is known of a key; never its value.")

    @Argument(help: "The key's ID.", transform: keyID) var key: KeyID
    @OptionGroup var service: ServiceOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let service = try await service.connect()
      show(KeyOutput(try await service.keys.record(of: key, context: service.context)))
    }
  }

  struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete a key for good.",
      discussion: "What only this key opens can never be read again.")

    @Argument(help: "The key's ID.", transform: keyID) var key: KeyID
    @Flag(help: "Delete it also when something uses it, which can then never be opened again.")
    var force = false
    @OptionGroup var service: ServiceOptions

    func run() async throws {
      let service = try await service.connect()
      try await service.keys.delete(key, force: force, context: service.context)
    }
  }
}

/// A key as `--json` prints it; its members are the documented ones.
// swift-format-ignore: AlwaysUseLowerCamelCase
struct KeyOutput: Encodable {
  let id: KeyID
  let name: String?
  let type: String
  let algorithm: String?
  let bit_length: Int?
  let mode: String?
  let created_at: String
  let updated_at: String
  let expires_at: String?

  init(_ record: KeyRecord) {
    id = record.id
    name = record.attributes.name
    type = record.attributes.type.rawValue
    algorithm = record.attributes.algorithm
    bit_length = record.attributes.bitLength
    mode = record.attributes.mode
    created_at = record.created.description + "Z"
    updated_at = record.updated.description + "Z"
    expires_at = record.attributes.expiration.map { "\($0)Z" }
  }
}

extension PrintingCommand {
  fileprivate func show(_ key: KeyOutput) {
    show(
      key,
      fields: [
        ("ID", key.id.description), ("Name", key.name ?? "-"), ("Type", key.type),
        ("Algorithm", key.algorithm ?? "-"), ("Bits", key.bit_length.map(String.init) ?? "-"),
        ("Created", key.created_at), ("Expires", key.expires_at ?? "never"),
      ])
  }
}

/// A key ID on the command line.
func keyID(argument: String) throws -> KeyID {
  if let id = KeyID(argument) { return id }
  throw ValidationError(
    "'\(argument)' is not a key ID: a lowercase version 4 UUID, as coffer key list shows it")
}
