import Glibc
package import HostSystem
package import VolumeAPI

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What a serving process tells the one that started it, once, through a pipe: usable, or why not.
package enum ReadinessReport: Codable {
  case attached(AttachmentStatus)
  case failed(VolumeError)

  /// The descriptor on which a serving process finds the pipe.
  package static let descriptor: Int32 = 3

  /// Writes the report; the reader sees the end when the descriptor is closed.
  package func send(on pipe: borrowing Descriptor) throws(SystemError) {
    guard let bytes = try? JSONEncoder().encode(self) else { return }
    try pipe.writeAll(Array(bytes))
  }

  /// Whether the process that waits for the report has gone.
  package static func isUnwanted(_ pipe: borrowing Descriptor) -> Bool {
    var entry = pollfd(fd: pipe.rawValue, events: 0, revents: 0)
    return poll(&entry, 1, 0) > 0 && entry.revents & Int16(POLLERR) != 0
  }

  /// Waits for the report; nil when the process ended without one.
  static func receive(from pipe: borrowing Descriptor) throws(SystemError) -> ReadinessReport? {
    let bytes = try pipe.readAll(limit: 1 << 20)
    return try? JSONDecoder().decode(ReadinessReport.self, from: Data(bytes))
  }
}
