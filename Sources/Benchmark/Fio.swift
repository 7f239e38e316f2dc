#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// fio(1), which makes the load.
struct Fio {
  private let program: String

  /// - Parameter program: its path, nil where it is not installed.
  init(program: String? = Program.find("fio")) throws {
    guard let program else {
      throw BenchmarkError(
        .missingProgram, "fio, which makes the load, is not installed",
        advice: "Install it: apt install fio.")
    }
    self.program = program
  }

  /// What fio says of all jobs together.
  struct Result: Decodable, Equatable {
    struct Direction: Decodable, Equatable {
      /// Bytes a second.
      let bandwidth: Double
      let requestsPerSecond: Double

      enum CodingKeys: String, CodingKey {
        case bandwidth = "bw_bytes"
        case requestsPerSecond = "iops"
      }
    }

    let read: Direction
    let write: Direction
  }

  /// Runs fio and takes GiB/s or thousands of requests a second from it.
  func measure(_ job: FioJob, arguments: [String]) throws -> Double {
    let result = try Self.result(of: try Program.run(program, arguments))
    let direction = job.pattern.isRead ? result.read : result.write
    return job.countsRequests
      ? direction.requestsPerSecond / 1000 : direction.bandwidth / Double(1 << 30)
  }

  static func result(of output: String) throws -> Result {
    struct Document: Decodable { let jobs: [Result] }
    // Notes may come first.
    guard let start = output.firstIndex(of: "{"),
      let document = try? JSONDecoder().decode(
        Document.self, from: Data(output[start...].utf8)),
      let result = document.jobs.first
    else { throw BenchmarkError(.failed, "fio printed no result:\n\(output.prefix(2000))") }
    return result
  }
}
