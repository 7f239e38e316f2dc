internal import Glibc
internal import HostSystem
internal import SecretMemory
internal import SectorCipher

/// AES-XTS on one thread: each kernel that the machine has, beside libcrypto with an init for each sector, and
/// beside memcpy.
public struct CipherBenchmark {
  /// Of the volume key: 256 (AES-128-XTS) or 512 bits (AES-256-XTS, the default of a volume).
  public var keyBits = 512
  /// How often each case is measured.
  public var rounds = 21
  /// How long one sample takes at least.
  public var sampleTime = Duration.milliseconds(10)
  public var command: String
  public var progress = Progress()

  /// The bytes of one call: a large request.
  private static let byteCount = 1 << 20
  private static let sectorSizes = [512, 1024, 2048, 4096]
  /// libcrypto's own interface takes a sector at a time.
  private static let baseline = "libcrypto"
  private static let copying = "memcpy"

  public init(command: String) {
    self.command = command
  }

  /// Short, for a look.
  public mutating func makeQuick() {
    rounds = 5
    sampleTime = .milliseconds(3)
  }

  public func run() async throws -> Report {
    try await Interruption.caught(measure)
  }

  private func measure() throws -> Report {
    let machine = Machine.current()
    let memory = try PageBuffer(byteCount: Self.byteCount)
    let copy = try PageBuffer(byteCount: Self.byteCount)
    let series =
      Kernel.available.map { Panel.Series($0.rawValue, isReference: $0 == .libcrypto) }
      + [Panel.Series(Self.copying, isReference: true)]
    let algorithm = "AES-\(keyBits / 2)-XTS"
    var panels = ["encryption", "decryption"].map { direction in
      Panel(
        title: "\(algorithm) \(direction)", unit: "GiB/s", groupLabel: "sector",
        groups: Self.sectorSizes.map { "\($0) B" }, series: series, baseline: Self.baseline)
    }
    var cases: [Case] = []
    for sectorSize in Self.sectorSizes {
      for kernel in Kernel.available {
        let cipher = try SectorCipher(key: try randomKey(), sectorSize: sectorSize, kernel: kernel)
        for panel in panels.indices {
          cases.append(
            Case(panel: panel, group: "\(sectorSize) B", series: kernel.rawValue) {
              throughput {
                if panel == 0 {
                  cipher.encrypt(
                    memory.start, to: memory.start, byteCount: Self.byteCount, firstTweak: 0)
                } else {
                  cipher.decrypt(
                    memory.start, to: memory.start, byteCount: Self.byteCount, firstTweak: 0)
                }
              }
            })
        }
      }
      for panel in panels.indices {
        cases.append(
          Case(panel: panel, group: "\(sectorSize) B", series: Self.copying) {
            throughput { memcpy(copy.start, memory.start, Self.byteCount) }
          })
      }
    }
    try InterleavedRun(rounds: rounds, progress: progress).run(cases, into: &panels)
    return Report(
      title: "Sector encryption, one thread, 1 MiB a call",
      method:
        "In place, in the processor's cache. Median of \(rounds) interleaved samples; ± is half the "
        + "distance between the quartiles. libcrypto gets an init for each sector, as its interface needs.",
      machine: machine, command: command, panels: panels)
  }

  private func randomKey() throws -> SecretBytes {
    var generator = SystemRandomNumberGenerator()
    var bytes: [UInt8] = (0..<keyBits / 8).map { _ in generator.next() }
    return try SecretBytes.taking(&bytes)
  }

  /// GiB/s of a call that handles `byteCount` bytes, repeated until `sampleTime` has passed.
  private func throughput(_ call: () -> Void) -> Double {
    call()
    let start = ContinuousClock.now
    var calls = 0
    var elapsed = Duration.zero
    repeat {
      call()
      calls += 1
      elapsed = ContinuousClock.now - start
    } while elapsed < sampleTime
    return Double(calls * Self.byteCount) / elapsed.inSeconds / Double(1 << 30)
  }
}

extension Duration {
  var inSeconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}

/// Page-aligned memory with random contents.
final class PageBuffer {
  let start: UnsafeMutableRawPointer
  let byteCount: Int

  init(byteCount: Int) throws {
    guard
      let memory = mmap(
        nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      memory != MAP_FAILED
    else { throw SystemError.current("mmap") }
    start = memory
    self.byteCount = byteCount
    var generator = SystemRandomNumberGenerator()
    for offset in stride(from: 0, to: byteCount, by: 8) {
      memory.storeBytes(of: generator.next(), toByteOffset: offset, as: UInt64.self)
    }
  }

  deinit { munmap(start, byteCount) }
}
