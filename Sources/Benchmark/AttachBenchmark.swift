internal import Glibc
internal import HostSystem

/// From the start of `coffer attach` until a block of the decrypted image has been read, the key from the
/// daemon; and `coffer detach` to its end.
public struct AttachBenchmark {
  /// Where the temporary directory is made.
  public var directory = "/dev/shm"
  public var rounds = 30
  public var command: String
  public var progress = Progress()
  /// Where `coffer`, `cofferd` and `mount.coffer` are.
  public var programs: String

  private static let size: UInt64 = 64 << 20
  private static let steps = ["attach", "detach"]

  public init(command: String, programs: String) {
    self.command = command
    self.programs = programs
  }

  /// Short, for a look.
  public mutating func makeQuick() {
    rounds = 7
  }

  public func run() async throws -> Report {
    try await Interruption.caught(measure)
  }

  private func measure() throws -> Report {
    let machine = Machine.current()
    let sandbox = try Sandbox(in: directory, programs: programs)
    defer { sandbox.remove() }
    try sandbox.makeVolume("bench", size: Self.size)
    let mountpoint = try sandbox.makeMountpoint("volume")
    var panel = Panel(
      title: "Attaching a volume", unit: "ms", lowerIsBetter: true, groupLabel: "command",
      groups: Self.steps, series: [.init("coffer")])
    var samples: [String: [Double]] = [:]
    progress.begin(steps: rounds)
    defer { progress.end() }
    // The first time is not counted: it reads the programs from the disk.
    for round in 0...rounds {
      try Interruption.check()
      if round > 0 { progress.step("attach \(round) of \(rounds)") }
      let attach = try milliseconds {
        try sandbox.attach("bench", at: mountpoint)
        try readBlock(of: "\(mountpoint)/volume")
      }
      let detach = try milliseconds { try sandbox.detach(mountpoint) }
      if round == 0 { continue }
      samples["attach", default: []].append(attach)
      samples["detach", default: []].append(detach)
    }
    for step in Self.steps {
      panel[step, "coffer"] = samples[step].map(Samples.init)
    }
    return Report(
      title: "From the start of coffer attach to the first block read",
      method:
        "A new process each time, the key from cofferd. Median of \(rounds) runs; ± is half the "
        + "distance between the quartiles. detach ends when the serving process has gone.",
      machine: machine, command: command, panels: [panel])
  }

  private func milliseconds(_ body: () throws -> Void) rethrows -> Double {
    try ContinuousClock().measure(body).inSeconds * 1000
  }

  private func readBlock(of path: String) throws {
    let file = try Descriptor.open(path, O_RDONLY)
    let number = file.rawValue
    try withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 16) { buffer in
      let count = try retrying("read", path) { read(number, buffer.baseAddress, 4096) }
      guard count == 4096 else { throw BenchmarkError(.failed, "\(path) is shorter than a block") }
    }
  }
}
