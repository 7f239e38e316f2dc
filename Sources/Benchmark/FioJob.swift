/// A load for fio(1) on one file.
struct FioJob: Sendable, Equatable {
  enum Pattern: String, Sendable {
    case read, write
    case randomRead = "randread"
    case randomWrite = "randwrite"

    var isRandom: Bool { self == .randomRead || self == .randomWrite }
    var isRead: Bool { self == .read || self == .randomRead }
  }

  var pattern: Pattern
  var blockSize: Int
  /// O_DIRECT; otherwise through the page cache, which is dropped before.
  var isDirect: Bool
  /// Threads.
  var jobs: Int
  /// Requests under way for each thread; over 1 only with `isDirect`.
  var depth: Int

  /// For people: `1 MiB read, 4 jobs, depth 8`.
  var name: String {
    let size = blockSize >= 1 << 20 ? "\(blockSize >> 20) MiB" : "\(blockSize >> 10) KiB"
    let verb = pattern.isRead ? "read" : "write"
    let threads = jobs == 1 ? "1 job" : "\(jobs) jobs"
    return "\(size)\(pattern.isRandom ? " random" : "") \(verb), "
      + "\(isDirect ? "" : "buffered, ")\(threads)\(depth > 1 ? ", depth \(depth)" : "")"
  }

  /// GiB/s for large requests, thousands a second for small ones.
  var countsRequests: Bool { blockSize < 1 << 16 }

  /// fio's arguments.
  ///
  /// - Parameters:
  ///   - size: of the file, in bytes.
  ///   - seconds: how long to run. Buffered jobs read or write the file once and no longer, since after that
  ///     they would measure the page cache.
  ///   - isDirect: O_DIRECT, where the job wants it and the file takes it.
  func arguments(file: String, size: UInt64, seconds: Double, isDirect: Bool) -> [String] {
    // A thread has a part of the file of its own, a whole number of blocks.
    let part = size / UInt64(jobs) / UInt64(blockSize) * UInt64(blockSize)
    var arguments = [
      "--name=bench", "--filename=\(file)", "--rw=\(pattern.rawValue)", "--bs=\(blockSize)",
      "--numjobs=\(jobs)", "--iodepth=\(depth)", "--ioengine=\(depth > 1 ? "libaio" : "psync")",
      "--direct=\(isDirect ? 1 : 0)", "--runtime=\(Int(seconds * 1000))ms", "--thread",
      "--group_reporting", "--randrepeat=0", "--norandommap", "--fallocate=none",
      "--allow_file_create=0", "--output-format=json",
    ]
    if pattern.isRandom {
      arguments.append("--size=\(size)")
    } else {
      arguments += ["--size=\(part)", "--offset_increment=\(part)"]
    }
    if self.isDirect {
      arguments += ["--time_based", "--ramp_time=\(Int(seconds * 200))ms"]
    } else if !pattern.isRead {
      arguments.append("--end_fsync=1")
    }
    return arguments
  }

  /// Everything that is worth a look: 1 and `jobs` threads, one and several requests each.
  static func all(jobs: Int) -> [FioJob] {
    var list: [FioJob] = []
    for (patterns, blockSize, depth) in [
      ([Pattern.read, .write], 1 << 20, 8), ([.randomRead, .randomWrite], 4096, 32),
    ] {
      for pattern in patterns {
        for (threads, depth) in [(1, 1), (1, depth), (jobs, 1), (jobs, depth)]
        where jobs > 1 || threads == 1 {
          list.append(
            FioJob(
              pattern: pattern, blockSize: blockSize, isDirect: true, jobs: threads, depth: depth))
        }
        list.append(
          FioJob(pattern: pattern, blockSize: blockSize, isDirect: false, jobs: 1, depth: 1))
      }
    }
    var seen: [FioJob] = []
    for job in list where !seen.contains(job) { seen.append(job) }
    return seen
  }

  /// Those that say most: `jobs` threads with one request each, and one that reads or writes a file as most
  /// programs do.
  static func few(jobs: Int) -> [FioJob] {
    [
      (Pattern.read, 1 << 20, true), (.read, 1 << 20, false), (.write, 1 << 20, true),
      (.write, 1 << 20, false), (.randomRead, 4096, true), (.randomWrite, 4096, true),
    ].map { pattern, blockSize, isDirect in
      FioJob(
        pattern: pattern, blockSize: blockSize, isDirect: isDirect, jobs: isDirect ? jobs : 1,
        depth: 1)
    }
  }
}
