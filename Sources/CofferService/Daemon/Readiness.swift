import BarbicanAPI
import Glibc
import HostSystem
import Synchronization
import VolumeAPI

/// Tells whoever started the daemon that it serves, or why it does not.
final class Readiness: Sendable {
  /// A pipe of the starter; nil when there is none, or it is closed and the number is another file's.
  private let descriptor: Mutex<Int32?>

  init(descriptor: Int32?) {
    self.descriptor = Mutex(descriptor)
  }

  /// Writes the line `ready`, and tells systemd.
  func announce() {
    write("ready\n")
    Self.notifyManager("READY=1")
  }

  /// Writes a `VolumeError` as JSON on one line.
  func announce(_ error: DaemonError) {
    let document = VolumeError(
      error.code == .alreadyRunning ? .inUse : .internalFailure, error.message)
    guard let text = try? JSONText.encode(document) else { return }
    write(String(decoding: text, as: UTF8.self) + "\n")
  }

  private func write(_ line: String) {
    let taken = descriptor.withLock { descriptor in
      defer { descriptor = nil }
      return descriptor
    }
    guard let taken else { return }
    var line = line
    line.withUTF8 { _ = Glibc.write(taken, $0.baseAddress, $0.count) }
    close(taken)
  }

  /// sd_notify(3): one datagram to the socket that `NOTIFY_SOCKET` names.
  static func notifyManager(_ message: String) {
    guard let path = getenv("NOTIFY_SOCKET").map({ String(cString: $0) }),
      path.hasPrefix("/") || path.hasPrefix("@"), path.utf8.count <= ServiceSocket.pathLimit
    else { return }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    if path.hasPrefix("@") { address.sun_path.0 = 0 }
    let length = MemoryLayout<sa_family_t>.size + path.utf8.count
    let number = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { return }
    let sender = Descriptor(adopting: number)
    withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        _ = sendto(
          sender.rawValue, message, message.utf8.count, 0, address,
          socklen_t(length))
      }
    }
  }
}
