internal import Glibc
internal import HostSystem

/// A volume through a real mount: sequential and random, buffered and direct, reads and writes, one and several
/// jobs. Beside it, the same mount with a cipher that does nothing, which is the limit that FUSE sets; a plain
/// file; and whatever else the user names.
public struct ImageBenchmark {
  /// A way to attach: each gets a volume of its own.
  public struct Variant: Sendable, Equatable {
    public var name: String
    /// Further arguments of `coffer attach`.
    public var options: [String]

    public init(name: String, options: [String] = []) {
      self.name = name
      self.options = options
    }
  }

  /// A file of the user's, which is overwritten, or made if it is missing.
  public struct Peer: Sendable, Equatable {
    public var name: String
    public var path: String

    public init(name: String, path: String) {
      self.name = name
      self.path = path
    }
  }

  /// Where the temporary directory is made: in memory, so that no disk hides what Coffer costs.
  public var directory = "/dev/shm"
  /// Of each file, in bytes; a multiple of 4096.
  public var size: UInt64 = 1 << 30
  /// How many jobs "several" are.
  public var jobs: Int
  public var rounds = 5
  /// How long one sample takes.
  public var seconds = 1.0
  /// Only the jobs that say most.
  public var isShort = false
  /// Jobs whose name does not contain one of these are left out; empty: none is.
  public var only: [String] = []
  public var variants = [Variant(name: "coffer")]
  public var peers: [Peer] = []
  /// Beside the mount without cipher, against which the others are compared, and the plain file. Otherwise the
  /// first variant is what the others are compared with.
  public var hasReferences = true
  public var title = "A volume's decrypted image under load"
  public var command: String
  public var progress = Progress()
  /// Where `coffer`, `cofferd` and `mount.coffer` are.
  public var programs: String

  static let withoutCipher = "cipher off"
  static let plainFile = "plain file"

  public init(command: String, programs: String) {
    self.command = command
    self.programs = programs
    jobs = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
  }

  /// Short, for a look.
  public mutating func makeQuick() {
    isShort = true
    rounds = 3
    seconds = 0.5
    size = 256 << 20
  }

  public func run() async throws -> Report {
    try await Interruption.caught(measure)
  }

  private func measure() throws -> Report {
    let fio = try Fio()
    let list = try selectedJobs()
    try checkSpace()
    let machine = Machine.current()
    let sandbox = try Sandbox(in: directory, programs: programs)
    defer { sandbox.remove() }
    let targets = try makeTargets(in: sandbox)
    var panels = [false, true].map { countsRequests in
      Panel(
        title: countsRequests ? "Small requests" : "Large requests",
        unit: countsRequests ? "thousand a second" : "GiB/s", groupLabel: "job",
        groups: list.filter { $0.countsRequests == countsRequests }.map(\.name),
        series: targets.map(\.series), baseline: baseline)
    }
    let cases = list.flatMap { job in
      targets.map { target in
        Case(panel: job.countsRequests ? 1 : 0, group: job.name, series: target.series.name) {
          try fio.measure(
            job,
            arguments: job.arguments(
              file: target.path, size: size, seconds: seconds,
              isDirect: job.isDirect && target.takesDirectIO))
        }
      }
    }
    try InterleavedRun(rounds: rounds, progress: progress).run(cases, into: &panels)
    return Report(
      title: title, method: method(targets), machine: machine,
      command: command, panels: panels.filter { !$0.groups.isEmpty })
  }

  private var baseline: String? {
    if hasReferences { return Self.withoutCipher }
    return variants.count + peers.count > 1 ? variants[0].name : nil
  }

  private func selectedJobs() throws -> [FioJob] {
    guard size % 4096 == 0, size >= UInt64(jobs) << 20 else {
      throw BenchmarkError(
        .invalidRequest, "\(size) bytes is no multiple of 4096, or under 1 MiB for each job")
    }
    let names = variants.map(\.name) + peers.map(\.name) + [Self.withoutCipher, Self.plainFile]
    for name in names where names.count(where: { $0 == name }) > 1 {
      throw BenchmarkError(.invalidRequest, "two cases have the name '\(name)'")
    }
    let list = isShort ? FioJob.few(jobs: jobs) : FioJob.all(jobs: jobs)
    guard !only.isEmpty else { return list }
    let chosen = list.filter { job in only.contains { job.name.contains($0) } }
    guard !chosen.isEmpty else {
      throw BenchmarkError(
        .invalidRequest, "no job's name contains \(only.joined(separator: " or "))",
        advice: "The jobs are:\n" + list.map(\.name).joined(separator: "\n"))
    }
    return chosen
  }

  private func checkSpace() throws {
    var status = statvfs()
    guard statvfs(directory, &status) == 0 else {
      throw SystemError.current("statvfs", directory)
    }
    let files = UInt64(variants.count + (hasReferences ? 2 : 0))
    let needed = files * (size + 32 << 20)
    let available = UInt64(status.f_bavail) * UInt64(status.f_frsize)
    guard available >= needed else {
      throw BenchmarkError(
        .noSpace, "\(directory) has \(available >> 20) MiB free; \(needed >> 20) MiB are needed",
        advice: "Choose a smaller --size, or another --directory.")
    }
  }

  private func makeTargets(in sandbox: Sandbox) throws -> [BenchmarkTarget] {
    var targets: [BenchmarkTarget] = []
    func add(_ name: String, isReference: Bool = false, _ path: String) throws {
      progress.note("preparing \(name)")
      targets.append(
        try .filling(Panel.Series(name, isReference: isReference), path: path, size: size))
    }
    for (index, variant) in variants.enumerated() {
      try sandbox.makeVolume("bench-\(index)", size: size)
      let mountpoint = try sandbox.makeMountpoint("volume-\(index)")
      try sandbox.attach("bench-\(index)", at: mountpoint, options: variant.options)
      try add(variant.name, "\(mountpoint)/volume")
    }
    for peer in peers { try add(peer.name, peer.path) }
    if hasReferences {
      let mountpoint = try sandbox.makeMountpoint("unencrypted")
      try sandbox.serveUnencrypted(at: mountpoint, size: size)
      try add(Self.withoutCipher, isReference: true, "\(mountpoint)/volume")
      try add(Self.plainFile, isReference: true, "\(sandbox.directory)/plain")
    }
    return targets
  }

  private func method(_ targets: [BenchmarkTarget]) -> String {
    var text =
      "Files of \(size >> 20) MiB in \(directory). fio, \(Number.text(seconds)) s a sample, O_DIRECT unless "
      + "buffered; median of \(rounds) interleaved samples, ± is half the distance between the quartiles."
    let buffered = targets.filter { !$0.takesDirectIO }.map(\.series.name)
    if !buffered.isEmpty {
      text += " No O_DIRECT on \(buffered.joined(separator: ", ")): buffered there."
    }
    return text
  }
}
