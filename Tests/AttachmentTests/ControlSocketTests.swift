import Glibc
import HostSystem
import KeyManager
import Testing
import VolumeAPI

@testable import Attachment

@Suite struct ControlSocketTests {
  private func temporaryDirectory() throws -> String {
    var template = Array("/tmp/coffer-control-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private var status: AttachmentStatus {
    var request = AttachmentRequest(volume: "data", mountpoint: "/mnt")
    request.readOnly = true
    return AttachmentStatus(
      id: .random(), request: request, volumeID: .random(), keyID: .random(), image: "/data.img",
      size: 4096, sectorSize: 512, cipherKernel: "libcrypto", transport: "classic",
      notices: ["a copy of the header was damaged"])
  }

  @Test func answersItsOwnUser() throws {
    let directory = try temporaryDirectory()
    let status = status
    let control = try ControlSocket.open(device: "0:4711", directory: directory)
    control.serve(status: status)
    let answer = ControlClient.status(device: "0:4711", directories: ["/nonexistent", directory])
    #expect(answer == status)
    let peer = ControlClient.server(device: "0:4711", directories: [directory], owner: geteuid())
    #expect(peer?.pid == getpid())
    #expect(ControlClient.server(device: "0:4712", directories: [directory], owner: 0) == nil)
    control.close()
    #expect(rmdir(directory) == 0, "nothing is left in the directory")
  }

  @Test func takesThePlaceOfAnEarlierOne() throws {
    let directory = try temporaryDirectory()
    defer { rmdir(directory) }
    do {
      // What a killed process leaves: a name that nobody listens on.
      _ = try UnixSocket.listen(at: ControlSocket.path(device: "0:1", directory: directory))
    }
    #expect(ControlClient.server(device: "0:1", directories: [directory], owner: 0) == nil)
    let ending = try ControlSocket.open(device: "0:1", directory: directory)
    ending.serve(status: status)
    let next = status
    let control = try ControlSocket.open(device: "0:1", directory: directory)
    control.serve(status: next)
    ending.close()
    #expect(ControlClient.status(device: "0:1", directories: [directory]) == next)
    control.close()
  }
}
