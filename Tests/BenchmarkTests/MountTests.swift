import DataPlaneTesting
import Foundation
import HostSystem
import Testing

@testable import Benchmark

/// Benchmarks on real mounts, by the programs in the build directory.
@Suite(.serialized) struct MountTests {
  let programs = ProgramFile.ownDirectory ?? ""

  /// A directory to work in, which must be empty at the end.
  private func inDirectory(_ body: (String) async throws -> Void) async throws {
    let directory = "/tmp/coffer-bench-test-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try await body(directory)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == [])
    let mounts = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
    #expect(!mounts.contains(directory))
  }

  private func small(in directory: String) -> ImageBenchmark {
    var benchmark = ImageBenchmark(command: "test", programs: programs)
    benchmark.directory = directory
    benchmark.size = 8 << 20
    benchmark.jobs = 2
    benchmark.rounds = 1
    benchmark.seconds = 0.05
    benchmark.progress = Progress(isSilent: true)
    return benchmark
  }

  @Test func everyJobRunsOnEveryTarget() async throws {
    try await inDirectory { directory in
      var benchmark = small(in: directory)
      benchmark.only = ["buffered", "2 jobs, depth"]
      let report = try await benchmark.run()
      #expect(report.panels.map(\.groups.count) == [4, 4])
      for panel in report.panels {
        #expect(panel.series.map(\.name) == ["coffer", "cipher off", "plain file"])
        #expect(panel.series.map(\.isReference) == [false, true, true])
        for group in panel.groups {
          for series in panel.series {
            let samples = try #require(panel[group, series.name], "\(group), \(series.name)")
            #expect(samples.median > 0, "\(group), \(series.name)")
          }
        }
      }
    }
  }

  @Test func variantsAndPeersAreBeside() async throws {
    let peer = "/tmp/coffer-bench-peer-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: peer) }
    try await inDirectory { directory in
      var benchmark = small(in: directory)
      benchmark.isShort = true
      benchmark.only = ["random"]
      benchmark.hasReferences = false
      benchmark.variants = [.init(name: "one"), .init(name: "two", options: ["--allow-other"])]
      benchmark.peers = [.init(name: "peer", path: peer)]
      let report = try await benchmark.run()
      #expect(report.panels.map(\.title) == ["Small requests"])
      #expect(report.panels[0].series.map(\.name) == ["one", "two", "peer"])
      #expect(report.panels[0].baseline == "one")
      #expect(try FileManager.default.attributesOfItem(atPath: peer)[.size] as? Int == 8 << 20)
    }
  }

  @Test func aFailureCleansUp() async throws {
    try await inDirectory { directory in
      var benchmark = small(in: directory)
      benchmark.peers = [.init(name: "peer", path: "/nonexistent/file")]
      await #expect(throws: SystemError.self) { try await benchmark.run() }
      benchmark.peers = []
      benchmark.variants = [.init(name: "bad", options: ["--no-such-option"])]
      await #expect(throws: BenchmarkError.self) { try await benchmark.run() }
    }
  }

  @Test(arguments: [SIGTERM, SIGINT])
  func aSignalCleansUp(number: Int32) async throws {
    try await inDirectory { directory in
      let null = try Descriptor.open("/dev/null", O_RDWR)
      let child = try ChildProcess.spawn(
        programs + "/coffer",
        arguments: [
          "bench", "image", "--directory", directory, "--size", "8M", "--seconds", "0.05",
          "--rounds", "1000",
        ], environment: ["PATH=/usr/bin:/bin"], descriptors: [(2, null.rawValue)])
      // The plain file is made last.
      while try FileManager.default.subpathsOfDirectory(atPath: directory)
        .allSatisfy({ !$0.hasSuffix("/plain") })
      {
        try await Task.sleep(for: .milliseconds(50))
      }
      child.signal(number)
      #expect(try child.wait() == .exited(11))
    }
  }

  @Test func asksForWhatIsImpossible() async throws {
    try await inDirectory { directory in
      var benchmark = small(in: directory)
      benchmark.size = 1 << 50
      await #expect(throws: BenchmarkError.self) { try await benchmark.run() }
      benchmark = small(in: directory)
      benchmark.only = ["no such job"]
      await #expect(throws: BenchmarkError.self) { try await benchmark.run() }
      benchmark = small(in: directory)
      benchmark.variants = [.init(name: "same"), .init(name: "same")]
      await #expect(throws: BenchmarkError.self) { try await benchmark.run() }
    }
  }

  @Test func attachIsTimed() async throws {
    try await inDirectory { directory in
      var benchmark = AttachBenchmark(command: "test", programs: programs)
      benchmark.directory = directory
      benchmark.rounds = 2
      benchmark.progress = Progress(isSilent: true)
      let report = try await benchmark.run()
      for step in ["attach", "detach"] {
        let samples = try #require(report.panels[0][step, "coffer"])
        #expect(samples.values.count == 2)
        #expect(samples.values.allSatisfy { $0 > 0 })
      }
    }
  }

  /// The mount without a cipher: it stores what it is given, and ends with what started it.
  @Test func theUnencryptedMountGoesWithItsParent() async throws {
    try await inDirectory { directory in
      let mountpoint = directory + "/mnt"
      try FileManager.default.createDirectory(
        atPath: mountpoint, withIntermediateDirectories: false)
      defer { rmdir(mountpoint) }
      let server = try Companion(
        programs + "/coffer",
        ["bench", "serve-unencrypted", mountpoint, directory, "\(1 << 20)"])
      defer { server.stop() }
      // The image has no name, and the mount holds nothing but its own.
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["mnt"])
      #expect(try FileManager.default.contentsOfDirectory(atPath: mountpoint) == ["volume"])
      let written = Data((0..<10_000).map { UInt8(truncatingIfNeeded: $0 / 7) })
      let file = try FileHandle(forUpdating: URL(fileURLWithPath: mountpoint + "/volume"))
      try file.seek(toOffset: 4000)
      try file.write(contentsOf: written)
      try file.synchronize()
      try file.seek(toOffset: 4000)
      #expect(try file.read(upToCount: written.count) == written)
      try file.close()
    }
  }
}
