import Testing

@testable import Benchmark

struct FioTests {
  @Test func namesSayWhatIsDone() {
    let read = FioJob(pattern: .read, blockSize: 1 << 20, isDirect: true, jobs: 4, depth: 8)
    #expect(read.name == "1 MiB read, 4 jobs, depth 8")
    let write = FioJob(
      pattern: .randomWrite, blockSize: 4096, isDirect: false, jobs: 1, depth: 1)
    #expect(write.name == "4 KiB random write, buffered, 1 job")
  }

  @Test func theListHasEveryKindOnce() {
    let list = FioJob.all(jobs: 4)
    #expect(list.count == 20)
    #expect(Set(list.map(\.name)).count == 20)
    #expect(FioJob.all(jobs: 1).count == 12)
    #expect(Set(FioJob.few(jobs: 4).map(\.name)).count == 6)
    #expect(Set(FioJob.few(jobs: 4).map(\.pattern)).count == 4)
  }

  @Test func sequentialJobsShareTheFile() {
    let job = FioJob(pattern: .write, blockSize: 1 << 20, isDirect: true, jobs: 3, depth: 1)
    let arguments = job.arguments(file: "f", size: 10 << 20, seconds: 1, isDirect: true)
    #expect(arguments.contains("--size=\(3 << 20)"))
    #expect(arguments.contains("--offset_increment=\(3 << 20)"))
    #expect(arguments.contains("--time_based"))
    #expect(arguments.contains("--direct=1"))
  }

  @Test func bufferedJobsDoNotReadTheCacheTwice() {
    let job = FioJob(pattern: .read, blockSize: 1 << 20, isDirect: false, jobs: 1, depth: 1)
    let arguments = job.arguments(file: "f", size: 10 << 20, seconds: 1, isDirect: false)
    #expect(!arguments.contains("--time_based"))
    #expect(arguments.contains("--direct=0"))
  }

  @Test func saysWhatToInstall() {
    let error = #expect(throws: BenchmarkError.self) { try Fio(program: nil) }
    #expect(error?.code == .missingProgram)
    #expect(error?.advice?.contains("apt install fio") == true)
  }

  @Test func resultsMayFollowNotes() throws {
    let output = """
      note: something
      {"fio version": "fio-3.33", "jobs": [{"jobname": "bench",
        "read": {"bw_bytes": 2147483648, "iops": 2048.5, "x": 1}, "write": {"bw_bytes": 0, "iops": 0}}]}
      """
    let result = try Fio.result(of: output)
    #expect(result.read.bandwidth == 2_147_483_648)
    #expect(result.read.requestsPerSecond == 2048.5)
    #expect(throws: BenchmarkError.self) { try Fio.result(of: "fio: no such file") }
  }
}
