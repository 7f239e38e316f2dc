public import ArgumentParser
public import Attachment
import HostSystem
import KeyManager
import VolumeAPI

/// The words in which every command that attaches names the volume.
private let volumeHelp: ArgumentHelp =
  "A volume's name or ID, or the path of a LUKS image whose token names its key."

/// How the data travel.
struct DataPathOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "How requests travel: classic (/dev/fuse), uring (FUSE over io_uring), or auto.",
      valueName: "auto|classic|uring"))
  var transport = AttachmentRequest.Transport.auto
  @Option(
    help: ArgumentHelp(
      "What the kernel caches of the decrypted image: reads (auto), nothing, or writes too (writeback).",
      valueName: "auto|none|writeback"))
  var cache = AttachmentRequest.Cache.auto
  @Option(
    help: ArgumentHelp(
      "What the kernel caches of the encrypted image; none is O_DIRECT.", valueName: "auto|none"))
  var backingCache = AttachmentRequest.BackingCache.auto

  func apply(to request: inout AttachmentRequest) {
    request.transport = transport
    request.cache = cache
    request.backingCache = backingCache
  }
}

extension AttachmentRequest.Transport: ExpressibleByArgument {}
extension AttachmentRequest.Cache: ExpressibleByArgument {}
extension AttachmentRequest.BackingCache: ExpressibleByArgument {}

struct Attach: AsyncParsableCommand, PrintingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Serve a volume's decrypted image as DIR/volume.",
    discussion: "Works as an ordinary user. Returns when the image can be used.")

  @Argument(help: volumeHelp) var volume: String
  @Argument(help: "An empty directory.", completion: .directory) var directory: String
  @Option(help: "Use this key, not the one that the image names.", transform: coffer.keyID)
  var keyID: KeyID?
  @Flag(help: "Refuse writes; several may attach at once.") var readOnly = false
  @Flag(help: "Let other users reach the mount.") var allowOther = false
  @OptionGroup var data: DataPathOptions
  @Flag(help: "Stay in the foreground until detached or interrupted.") var foreground = false
  @OptionGroup var service: ServiceOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    var request = AttachmentRequest(volume: volume, mountpoint: directory)
    request.keyID = keyID
    request.socket = service.socket
    request.project = service.project
    request.readOnly = readOnly
    request.allowOther = allowOther
    data.apply(to: &request)
    if foreground { try AttachmentLauncher.serveInForeground(request) }
    show(try AttachmentLauncher.attach(request))
  }
}

struct Mount: AsyncParsableCommand, PrintingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Attach with the options of mount(8); with -o fs, mount the file system inside.",
    discussion: """
      The same as `mount -t coffer VOLUME DIR`. Options: ro, nosuid, nodev, noexec, allow_other, uid=, \
      gid=, fs[=TYPE], key-id=, transport=, cache=, backing-cache=, socket=, project=.
      """)

  @Argument(help: volumeHelp) var volume: String
  @Argument(help: "A directory.", completion: .directory) var directory: String
  @Option(name: .short, help: "Mount options, separated by commas.") var options: [String] = []
  @OptionGroup var service: ServiceOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    var request = AttachmentRequest(volume: volume, mountpoint: directory)
    request.socket = service.socket
    request.project = service.project
    for text in options { try MountOptions.apply(text, to: &request, sloppy: false) }
    show(try AttachmentLauncher.attach(request))
  }
}

struct Detach: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Flush and unmount; returns when the serving process has gone.",
    discussion: "Also removes the dead mount that a killed serving process leaves.")

  @Argument(help: "Where the volume is attached or mounted.", completion: .directory)
  var directory: String
  @Flag(help: "Take the mount away at once, though files are open there.") var lazy = false

  func run() async throws {
    if try Detachment.detach(directory, lazy: lazy) == .removedStaleMount {
      StandardError.print(
        "coffer: the serving process of \(directory) had died; its mount is removed")
    }
  }
}

struct AttachmentCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attachment", abstract: "Attached volumes.", subcommands: [List.self, Show.self])

  struct List: AsyncParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(abstract: "List your attachments.")

    @OptionGroup var service: ServiceOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let service = try await service.connect()
      let attachments = try await service.volumes.attachments()
      show(attachments, header: ["MOUNTPOINT", "PROCESS", "MODE", "IMAGE"]) { attachment in
        [
          attachment.mountpoint, String(attachment.pid), attachment.readOnly ? "ro" : "rw",
          attachment.image,
        ]
      }
    }
  }

  struct Show: AsyncParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show an attachment, as its serving process describes it.")

    @Argument(help: "Where the volume is attached or mounted.", completion: .directory)
    var directory: String
    @OptionGroup var output: OutputOptions

    func run() async throws {
      show(try Detachment.status(of: directory))
    }
  }
}

extension PrintingCommand {
  fileprivate func show(_ status: AttachmentStatus) {
    for notice in status.notices where !output.json { StandardError.print("coffer: \(notice)") }
    show(
      status,
      fields: [
        ("Mountpoint", status.mountpoint), ("Volume", status.volume), ("Image", status.image),
        ("Key", status.keyID.description),
        ("Size", "\(ByteCount.text(status.size)) (\(status.size) bytes)"),
        ("Mode", status.readOnly ? "read-only" : "read-write"),
        ("Process", String(status.pid)), ("Cipher", status.cipherKernel),
        ("Transport", status.transport),
      ])
  }
}
