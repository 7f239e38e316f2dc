internal import Glibc

/// The machine and the moment of a measurement.
public struct Machine: Sendable, Encodable, CustomStringConvertible {
  public var processor: String
  /// Online processors.
  public var processorCount: Int
  /// The name and release of the operating system.
  public var system: String
  /// The load average of the last minute before the measurement; nil where it cannot be told.
  public var load: Double?
  /// The day in UTC, as `2026-01-31`.
  public var date: String

  enum CodingKeys: String, CodingKey {
    case processor
    case processorCount = "processors"
    case system, load, date
  }

  public init(
    processor: String, processorCount: Int, system: String, load: Double?, date: String
  ) {
    self.processor = processor
    self.processorCount = processorCount
    self.system = system
    self.load = load
    self.date = date
  }

  /// This one, now.
  public static func current() -> Machine {
    var names = utsname()
    uname(&names)
    var averages = [0.0]
    var now = time(nil)
    var parts = tm()
    gmtime_r(&now, &parts)
    var date = [CChar](repeating: 0, count: 16)
    strftime(&date, date.count, "%Y-%m-%d", &parts)
    return Machine(
      processor: processorName() ?? text(of: names.machine),
      processorCount: sysconf(Int32(_SC_NPROCESSORS_ONLN)),
      system: "\(text(of: names.sysname)) \(text(of: names.release))",
      load: getloadavg(&averages, 1) == 1 ? averages[0] : nil,
      date: String(decoding: date.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self))
  }

  /// Whether other work is likely to disturb the measurement.
  public var isBusy: Bool { (load ?? 0) > 0.25 * Double(processorCount) }

  public var description: String {
    let load = load.map { ", load \(Number.text($0, decimals: 1)) before" } ?? ""
    return "\(processor), \(processorCount) processors, \(system), \(date)\(load)"
  }

  private static func processorName() -> String? {
    guard let file = fopen("/proc/cpuinfo", "r") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 512)
    while fgets(&line, Int32(line.count), file) != nil {
      let bytes = line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
      let parts = String(decoding: bytes, as: UTF8.self)
        .split(separator: ":", maxSplits: 1)
      guard parts.count == 2, parts[0].hasPrefix("model name") else { continue }
      return parts[1].split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }
    return nil
  }

  private static func text<Tuple>(of field: Tuple) -> String {
    withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
