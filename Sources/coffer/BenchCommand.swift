import ArgumentParser
import Benchmark
import Glibc
import HostSystem
import VolumeAPI

struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure Coffer on this machine.",
    discussion: """
      Measures in rounds that take every case once, and gives medians and spreads. The machine should have \
      nothing else to do.
      """,
    subcommands: [Cipher.self, Image.self, Attach.self, ServeUnencrypted.self])

  struct Cipher: AsyncParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(
      abstract: "The encryption of sectors: every kernel that this machine can run.",
      discussion: "Beside libcrypto with an init for each sector, and beside memcpy.")

    @Option(help: "256 (AES-128-XTS) or 512 (AES-256-XTS).") var keyBits = 512
    @OptionGroup var measuring: MeasuringOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
      guard [256, 512].contains(keyBits) else {
        throw ValidationError("--key-bits takes 256 or 512")
      }
    }

    func run() async throws {
      var benchmark = CipherBenchmark(command: measuring.commandLine)
      if measuring.quick { benchmark.makeQuick() }
      if let rounds = measuring.rounds { benchmark.rounds = rounds }
      benchmark.keyBits = keyBits
      let report = try await measuring.run { try await benchmark.run() }
      try measuring.show(report, json: output.json)
    }
  }
}

extension BenchCommand {
  struct Image: AsyncParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(
      abstract: "A volume's decrypted image under load, through a real mount.",
      discussion: """
        Beside the same mount without a cipher, which is the limit that FUSE sets, and a plain file. Uses a \
        cofferd and volumes of its own in a temporary directory, and fio for the load.
        """)

    @Option(help: "Where to make the temporary directory.", completion: .directory)
    var directory = "/dev/shm"
    @Option(help: "The size of each file (default: 1G, with --quick 256M).") var size: ByteCount?
    @Option(help: "How many jobs at most (default: as many as processors).") var jobs: Int?
    @Option(help: "Seconds for each sample (default: 1, with --quick 0.5).") var seconds: Double?
    @Option(help: "Only jobs whose name contains this; may be repeated.") var only: [String] = []
    @Option(
      help: ArgumentHelp(
        "A way to attach, with arguments of coffer attach; may be repeated.",
        valueName: "name=arguments"),
      transform: variant)
    var variant: [ImageBenchmark.Variant] = []
    @Option(
      help: ArgumentHelp(
        "Measure this file too. It is OVERWRITTEN, or made if missing; may be repeated.",
        valueName: "name=file"),
      transform: peer)
    var beside: [ImageBenchmark.Peer] = []
    @Flag(
      help: "Leave out the mount without a cipher and the plain file; × is then against the first.")
    var noReferences = false
    @Option(help: "The title of the report and the chart.") var title: String?
    @Option(help: .hidden) var shownCommand: String?
    @OptionGroup var measuring: MeasuringOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
      if let jobs, !(1...256).contains(jobs) { throw ValidationError("--jobs takes 1 to 256") }
      if let seconds, !(0.01...3600).contains(seconds) {
        throw ValidationError("--seconds takes 0.01 to 3600")
      }
    }

    func run() async throws {
      var benchmark = ImageBenchmark(
        command: shownCommand ?? measuring.commandLine, programs: try measuring.programs)
      if measuring.quick { benchmark.makeQuick() }
      if let rounds = measuring.rounds { benchmark.rounds = rounds }
      if let size { benchmark.size = size.bytes }
      if let jobs { benchmark.jobs = jobs }
      if let seconds { benchmark.seconds = seconds }
      if !variant.isEmpty { benchmark.variants = variant }
      benchmark.directory = PathName.absolute(directory)
      benchmark.only = only
      if let title { benchmark.title = title }
      benchmark.peers = beside
      benchmark.hasReferences = !noReferences
      let report = try await measuring.run { try await benchmark.run() }
      try measuring.show(report, json: output.json)
    }

    @Sendable private static func variant(_ text: String) throws -> ImageBenchmark.Variant {
      let (name, rest) = try parts(of: text)
      return .init(name: name, options: rest.split(separator: " ").map(String.init))
    }

    @Sendable private static func peer(_ text: String) throws -> ImageBenchmark.Peer {
      let (name, rest) = try parts(of: text)
      guard !rest.isEmpty else { throw ValidationError("'\(text)' names no file") }
      return .init(name: name, path: PathName.absolute(rest))
    }

    private static func parts(of text: String) throws -> (name: String, rest: String) {
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else {
        throw ValidationError("'\(text)' is not a name, a '=' and a value")
      }
      return (String(parts[0]), String(parts[1]))
    }
  }

  struct Attach: AsyncParsableCommand, PrintingCommand {
    static let configuration = CommandConfiguration(
      abstract: "The time from the start of coffer attach until the image can be used.",
      discussion: "Uses a cofferd and a volume of its own in a temporary directory.")

    @Option(help: "Where to make the temporary directory.", completion: .directory)
    var directory = "/dev/shm"
    @OptionGroup var measuring: MeasuringOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      var benchmark = AttachBenchmark(
        command: measuring.commandLine, programs: try measuring.programs)
      if measuring.quick { benchmark.makeQuick() }
      if let rounds = measuring.rounds { benchmark.rounds = rounds }
      benchmark.directory = PathName.absolute(directory)
      let report = try await measuring.run { try await benchmark.run() }
      try measuring.show(report, json: output.json)
    }
  }

  /// The process behind the mount without a cipher.
  struct ServeUnencrypted: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "serve-unencrypted",
      abstract: "Serves a new, unnamed, unencrypted file until standard input ends.",
      shouldDisplay: false)

    @Argument var mountpoint: String
    @Argument var directory: String
    @Argument var size: UInt64

    func run() async throws {
      try UnencryptedServer.run(mountpoint: mountpoint, directory: directory, size: size)
    }
  }
}

/// The options of every benchmark.
struct MeasuringOptions: ParsableArguments {
  @Flag(help: "Fewer and shorter samples: a first look.") var quick = false
  @Option(help: "How often each case is measured.") var rounds: Int?
  @Option(help: "Write a chart to this file, as SVG.", completion: .file(extensions: ["svg"]))
  var chart: String?
  @Flag(help: "Print the tables in Markdown.") var markdown = false

  func validate() throws {
    if let rounds, !(1...1000).contains(rounds) {
      throw ValidationError("--rounds takes 1 to 1000")
    }
  }

  /// As the user typed it, without the program's path.
  var commandLine: String {
    (["coffer"] + CommandLine.arguments.dropFirst().map(Self.quoted)).joined(separator: " ")
  }

  private static func quoted(_ word: String) -> String {
    let isPlain = word.allSatisfy {
      $0.isASCII && ($0.isLetter || $0.isNumber || "-_./=:,@%+".contains($0))
    }
    if isPlain, !word.isEmpty { return word }
    return "'"
      + word.split(separator: "'", omittingEmptySubsequences: false)
      .joined(separator: "'\\''") + "'"
  }

  /// The directory of this program, beside which the others are.
  var programs: String {
    get throws {
      guard let directory = ProgramFile.ownDirectory else {
        throw VolumeError(.inputOutput, "cannot tell where the programs are: /proc is missing")
      }
      return directory
    }
  }

  /// Runs a benchmark; what stops it becomes an error of the command line's kind.
  func run(_ body: () async throws -> Report) async throws -> Report {
    #if DEBUG
      StandardError.print("coffer: this is a debug build, whose figures mean little")
    #endif
    let machine = Machine.current()
    if machine.isBusy, let load = machine.load {
      StandardError.print(
        "coffer: this machine is busy (load \((load * 10).rounded() / 10)), which spoils the figures"
      )
    }
    do {
      return try await body()
    } catch let error as BenchmarkError {
      let code: VolumeErrorCode =
        switch error.code {
        case .invalidRequest: .invalidRequest
        case .noSpace: .noSpace
        case .missingProgram, .interrupted, .failed: .inputOutput
        }
      throw VolumeError(code, error.message, advice: error.advice)
    }
  }

  func show(_ report: Report, json: Bool) throws {
    if let chart {
      try Descriptor.open(chart, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o666)
        .writeAll(Array(report.svg.utf8))
    }
    print(json ? JSONOutput.text(report) : markdown ? report.markdown : report.text)
  }
}
