import Glibc
package import HostSystem

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The socket on which a serving process answers its own user and root, and nobody else.
///
/// It lies in the user's runtime directory and is named for the device number of the mount, so whoever
/// sees the mount finds it without a service. A connection sends one line, gets one line and is closed.
/// The one command so far is `status`.
package final class ControlSocket: Sendable {
  private let path: String
  private let inode: UInt64
  private let listener: Descriptor

  private init(path: String, inode: UInt64, listener: consuming Descriptor) {
    self.path = path
    self.inode = inode
    self.listener = listener
  }

  /// Takes the place of a socket that is there: the kernel gives a device number to one mount at a time, so
  /// that one belongs to a process that has lost its mount, and may be ending still.
  package static func open(
    device: String, directory: String
  ) throws(SystemError) -> ControlSocket {
    let path = path(device: device, directory: directory)
    let listener = try UnixSocket.listen(at: path)
    return ControlSocket(path: path, inode: inode(of: path), listener: listener)
  }

  /// Removes the socket, unless a later mount has taken its place.
  package func close() {
    if Self.inode(of: path) == inode { unlink(path) }
  }

  private static func inode(of path: String) -> UInt64 {
    var status = stat()
    return lstat(path, &status) == 0 ? UInt64(status.st_ino) : 0
  }

  static func path(device: String, directory: String) -> String {
    "\(directory)/\(device.split(separator: ":").joined(separator: "-")).sock"
  }

  /// Answers from a thread of its own until the process ends.
  package func serve(status: AttachmentStatus) {
    guard let answer = try? JSONEncoder().encode(status) else { return }
    let line = Array(answer) + [UInt8(ascii: "\n")]
    PlainThread.start { [self] in
      while let connection = try? UnixSocket.accept(listener) {
        Self.answer(connection, with: line)
      }
    }
  }

  private static func answer(_ connection: borrowing Descriptor, with line: [UInt8]) {
    guard let peer = try? PeerCredentials.ofPeer(socket: connection.rawValue),
      peer.uid == 0 || peer.uid == geteuid()
    else { return }
    // One slow client must not keep the next one waiting for long.
    var limit = timeval(tv_sec: 2, tv_usec: 0)
    setsockopt(
      connection.rawValue, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    guard let request = try? connection.readLine(limit: 64), request == "status" else { return }
    try? connection.writeAll(line)
  }
}

extension Descriptor {
  /// The characters up to a newline; nil when none comes within `limit` bytes.
  fileprivate borrowing func readLine(limit: Int) throws(SystemError) -> String? {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: limit, alignment: 1)
    defer { buffer.deallocate() }
    var count = 0
    while count < limit {
      let got = try readSome(into: UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
      if got == 0 { return nil }
      count += got
      if let end = buffer[..<count].firstIndex(of: UInt8(ascii: "\n")) {
        return String(decoding: buffer[..<end], as: UTF8.self)
      }
    }
    return nil
  }
}
