import SectorCipher
import Testing

@testable import Benchmark

struct CipherBenchmarkTests {
  @Test(arguments: [256, 512])
  func measuresEveryKernelAndSectorSize(keyBits: Int) async throws {
    var benchmark = CipherBenchmark(command: "test")
    benchmark.keyBits = keyBits
    benchmark.rounds = 2
    benchmark.sampleTime = .zero
    benchmark.progress = Progress(isSilent: true)
    let report = try await benchmark.run()
    #expect(
      report.panels.map(\.title) == [
        "AES-\(keyBits / 2)-XTS encryption", "AES-\(keyBits / 2)-XTS decryption",
      ])
    for panel in report.panels {
      #expect(panel.groups == ["512 B", "1024 B", "2048 B", "4096 B"])
      #expect(panel.series.map(\.name) == Kernel.available.map(\.rawValue) + ["memcpy"])
      for group in panel.groups {
        for series in panel.series {
          let samples = try #require(panel[group, series.name])
          #expect(samples.values.count == 2)
          #expect(samples.values.allSatisfy { $0 > 0 })
        }
      }
    }
  }
}
