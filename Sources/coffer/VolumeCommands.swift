import ArgumentParser
import HostSystem
import KeyManager
import VolumeAPI

struct VolumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "volume", abstract: "Encrypted volumes.",
    subcommands: [Create.self, Import.self, List.self, Show.self, Delete.self])

  struct Create: AsyncParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a volume: a sparse LUKS2 image and a key for it.")

    @Argument(help: "The volume's name, unique among yours.") var name: String
    @Option(help: "The size of the decrypted image: 512M, 10G, 1T. Not needed on a block device.")
    var size: ByteCount?
    @Option(
      help: "A key of yours, to be cloned for the volume; a fresh one otherwise.",
      transform: coffer.keyID)
    var keyID: KeyID?
    @Option(help: "512 or 4096 bytes; 4096 is faster.") var sectorSize: Int?
    @Option(
      help: "Where to make the image: a new file, or a block device. In the pool otherwise.",
      completion: .file())
    var image: String?
    @Flag(help: "Overwrite a block device that is not empty.") var force = false
    @OptionGroup var service: ServiceOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let service = try await service.connect()
      show(
        try await service.volumes.createVolume(
          VolumeCreation(
            name: name, size: size?.bytes, sectorSize: sectorSize, keyID: keyID,
            image: image.map(PathName.absolute), force: force ? true : nil)))
    }
  }

  struct Import: AsyncParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(
      abstract: "Adopt a LUKS image made elsewhere.",
      discussion: """
        Adds a keyslot for a key in the key manager and, to a LUKS2 header, a token that names the key. \
        Your own keyslots stay. A passphrase that opens the image is asked for, or read from standard \
        input.
        """)

    @Argument(help: "The LUKS1 or LUKS2 image.", completion: .file()) var image: String
    @Option(help: "The volume's name; the image's file name otherwise.") var name: String?
    @Option(
      help: "A key of yours, to be cloned for the volume; a fresh one otherwise.",
      transform: coffer.keyID)
    var keyID: KeyID?
    @Option(
      help: "A file with a passphrase of the image; one newline at its end is dropped.",
      completion: .file())
    var passphraseFile: String?
    @Option(
      help: "A key file of the image, all of it, as cryptsetup takes it.", completion: .file())
    var keyFile: String?
    @OptionGroup var service: ServiceOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
      if passphraseFile != nil, keyFile != nil {
        throw ValidationError("give either --passphrase-file or --key-file")
      }
    }

    func run() async throws {
      let path = PathName.absolute(image)
      let passphrase =
        if let keyFile {
          try SecretInput.read(file: keyFile, limit: 8 << 20)
        } else {
          try SecretInput.passphrase(
            file: passphraseFile, prompt: "Passphrase of \(image): ")
        }
      let service = try await service.connect()
      let request = VolumeImport(name: name ?? Self.name(of: path), image: path, keyID: keyID)
      let notice = SlowNotice("trying the passphrase on \(image)")
      defer { notice.end() }
      show(try await service.volumes.importVolume(request, passphrase: passphrase))
    }

    /// `data` for `/srv/data.img`.
    private static func name(of path: String) -> String {
      let last = path.split(separator: "/").last ?? "volume"
      guard let dot = last.lastIndex(of: "."), dot != last.startIndex else { return String(last) }
      return String(last[..<dot])
    }
  }

  struct List: AsyncParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(abstract: "List your volumes.")

    @OptionGroup var service: ServiceOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let service = try await service.connect()
      let volumes = try await service.volumes.volumes()
      show(volumes, header: ["NAME", "SIZE", "STATE", "MOUNTPOINT", "ID"]) { volume in
        [
          volume.name, ByteCount.text(volume.size), volume.state.rawValue, volume.mountpoint ?? "-",
          volume.id.description,
        ]
      }
    }
  }

  struct Show: AsyncParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(abstract: "Show a volume.")

    @Argument(help: "The volume's name or ID.") var volume: String
    @OptionGroup var service: ServiceOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let service = try await service.connect()
      show(try await service.volumes.volume(volume))
    }
  }

  struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete a volume, its key and its data for good.",
      discussion: """
        An image that was imported keeps its file and your own keyslots; only Coffer's keyslot and key go.
        """)

    @Argument(help: "The volume's name or ID.") var volume: String
    @OptionGroup var service: ServiceOptions

    func run() async throws {
      let service = try await service.connect()
      try await service.volumes.deleteVolume(volume)
    }
  }
}

extension PrintingCommand {
  fileprivate func show(_ volume: VolumeDocument) {
    show(
      volume,
      fields: [
        ("Name", volume.name), ("ID", volume.id.description), ("Key", volume.keyID.description),
        ("Size", "\(ByteCount.text(volume.size)) (\(volume.size) bytes)"),
        ("Sector", "\(volume.sectorSize) bytes"), ("State", volume.state.rawValue),
        ("Image", volume.image), ("Format", "LUKS\(volume.luksVersion)"),
        ("Project", volume.projectID), ("Created", volume.createdAt),
        ("Mountpoint", volume.mountpoint ?? "-"),
        ("Process", volume.pid.map(String.init) ?? "-"),
      ])
  }
}
