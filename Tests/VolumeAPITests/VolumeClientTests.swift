import BarbicanAPI
import FakeServer
import FoundationEssentials
import KeyManager
import SecretMemory
import Testing
import VolumeAPI

private let volume = VolumeDocument(
  id: VolumeID("cba33429-08c9-44cd-abac-d814d1c5f966")!, name: "data",
  keyID: KeyID("3f62fb3a-75c5-4966-aca2-b3fef869c974")!, size: 1 << 40, sectorSize: 4096,
  state: .inUse, image: "/var/lib/coffer/pool/a", inPool: true, luksVersion: 2,
  projectID: "uid-1000", createdAt: "2026-11-21T02:33:23.162241", mountpoint: "/mnt", pid: 12)
private let volumeText =
  #"{"created_at":"2026-11-21T02:33:23.162241","id":"cba33429-08c9-44cd-abac-d814d1c5f966","#
  + #""image":"/var/lib/coffer/pool/a","in_pool":true,"#
  + #""key_id":"3f62fb3a-75c5-4966-aca2-b3fef869c974","luks_version":2,"mountpoint":"/mnt","#
  + #""name":"data","pid":12,"project_id":"uid-1000","sector_size":4096,"size":1099511627776,"#
  + #""state":"in-use"}"#
private let attachment = AttachmentDocument(
  id: AttachmentID("226577a2-2bbb-4b52-b59f-e8747c012a87")!, volumeID: volume.id,
  keyID: volume.keyID, image: volume.image, mountpoint: "/mnt", pid: 12, uid: 1000,
  readOnly: false, createdAt: "2026-11-21T02:33:23.162241")
private let attachmentText =
  #"{"created_at":"2026-11-21T02:33:23.162241","id":"226577a2-2bbb-4b52-b59f-e8747c012a87","#
  + #""image":"/var/lib/coffer/pool/a","key_id":"3f62fb3a-75c5-4966-aca2-b3fef869c974","#
  + #""mountpoint":"/mnt","pid":12,"read_only":false,"uid":1000,"#
  + #""volume_id":"cba33429-08c9-44cd-abac-d814d1c5f966"}"#

/// Calls `body` with a client of a server that gives one answer to all requests.
private func withClient(
  _ reply: FakeServer.Reply, project: String? = nil,
  _ body: (VolumeClient) async throws -> Void
) async throws -> [FakeServer.Request] {
  let server = FakeServer { _ in reply }
  defer { server.stop() }
  let transport = HTTPTransport(.unixSocket(server.path), timeout: .seconds(20))
  try await body(VolumeClient(transport, project: project))
  return server.requests
}

private func lines(_ requests: [FakeServer.Request]) -> [String] {
  requests.map { "\($0.method) \($0.target)" }
}

@Suite struct VolumeClientTests {
  @Test func status() async throws {
    let text = #"{"pid":7,"pool":"/p","state":"/s","version":"1.0"}"#
    let requests = try await withClient(.json(200, text), project: "p2") { client in
      let status = try await client.status()
      #expect(status == ServiceStatus(version: "1.0", pid: 7, state: "/s", pool: "/p"))
    }
    #expect(lines(requests) == ["GET /coffer/v1/status"])
    #expect(requests[0].headers["x-project-id"] == "p2")
  }

  @Test func createsAVolume() async throws {
    let requests = try await withClient(.json(201, volumeText)) { client in
      let made = try await client.createVolume(
        VolumeCreation(name: "data", size: 1 << 40, sectorSize: 4096, keyID: volume.keyID))
      #expect(made == volume)
    }
    #expect(lines(requests) == ["POST /coffer/v1/volumes"])
    #expect(
      requests[0].text
        == #"{"key_id":"3f62fb3a-75c5-4966-aca2-b3fef869c974","name":"data","#
        + #""sector_size":4096,"size":1099511627776}"#)
  }

  @Test func listsShowsAndDeletesVolumes() async throws {
    let list = try await withClient(.json(200, #"{"volumes":[\#(volumeText)]}"#)) { client in
      let all = try await client.volumes()
      #expect(all == [volume])
    }
    #expect(lines(list) == ["GET /coffer/v1/volumes"])
    let show = try await withClient(.json(200, volumeText)) { client in
      let one = try await client.volume("my data/ü?")
      #expect(one == volume)
    }
    #expect(lines(show) == ["GET /coffer/v1/volumes/my%20data%2F%C3%BC%3F"])
    let delete = try await withClient(.noContent) { client in
      try await client.deleteVolume("..")
    }
    #expect(lines(delete) == ["DELETE /coffer/v1/volumes/.."])
  }

  @Test func importsAVolume() async throws {
    let requests = try await withClient(.json(201, volumeText)) { client in
      var bytes: [UInt8] = [0, 10, 255]
      let passphrase = try SecretBytes.taking(&bytes)
      let made = try await client.importVolume(
        VolumeImport(name: "a b", image: "/i&j", keyID: volume.keyID), passphrase: passphrase)
      #expect(made == volume)
    }
    #expect(
      lines(requests) == [
        "POST /coffer/v1/volumes/import?name=a%20b&image=%2Fi%26j"
          + "&key_id=3f62fb3a-75c5-4966-aca2-b3fef869c974"
      ])
    #expect(requests[0].body == [0, 10, 255])
    #expect(requests[0].headers["content-type"] == "application/octet-stream")
  }

  @Test func attachments() async throws {
    let register = try await withClient(.json(201, attachmentText)) { client in
      let kept = try await client.register(attachment)
      #expect(kept == attachment)
    }
    #expect(lines(register) == ["POST /coffer/v1/attachments"])
    #expect(register[0].text == attachmentText)
    let list = try await withClient(
      .json(200, #"{"attachments":[\#(attachmentText)]}"#)
    ) { client in
      let all = try await client.attachments()
      #expect(all == [attachment])
    }
    #expect(lines(list) == ["GET /coffer/v1/attachments"])
    let unregister = try await withClient(.noContent) { client in
      try await client.unregister(attachment.id)
    }
    #expect(
      lines(unregister) == ["DELETE /coffer/v1/attachments/226577a2-2bbb-4b52-b59f-e8747c012a87"])
  }

  @Test(arguments: VolumeErrorCode.allCases)
  func reasonsBecomeCodes(_ code: VolumeErrorCode) async throws {
    let text = String(
      decoding: try JSONText.encode(
        ErrorDocument(
          code: 409, title: "Conflict", description: "no: because", reason: code.rawValue,
          advice: "Do it.")), as: UTF8.self)
    _ = try await withClient(.json(409, text)) { client in
      let error = await failure { () throws(VolumeError) in try await client.deleteVolume("x") }
      #expect(error == VolumeError(code, "no: because", advice: "Do it."))
    }
  }

  @Test(arguments: [
    (400, VolumeErrorCode.invalidRequest), (403, .notAuthorized), (404, .noSuchVolume),
    (405, .invalidRequest), (409, .inUse), (500, .internalFailure),
    (503, .keyManagerUnavailable), (507, .noSpace),
  ])
  func statusesWithoutAReason(_ status: Int, _ code: VolumeErrorCode) async throws {
    for reason in ["", #","reason":"never-heard-of""#] {
      let text = #"{"code":\#(status),"title":"Title","description":""\#(reason)}"#
      _ = try await withClient(.json(status, text)) { client in
        let error = await failure { () throws(VolumeError) in try await client.deleteVolume("x") }
        #expect(error == VolumeError(code, "Title"))
      }
    }
  }

  @Test func answersThatMakeNoSense() async throws {
    let html = Array("<html>".utf8)
    for reply in [
      FakeServer.Reply.json(200, #"{"volumes":7}"#), .json(200, ""), .noContent,
      .answer(200, type: "text/html", html), .answer(502, type: "text/html", html),
      .json(404, "[]"), .bytes([]), .bytes(Array("hello\r\n\r\n".utf8)),
    ] {
      _ = try await withClient(reply) { client in
        let error = await failure { () throws(VolumeError) in
          _ = try await client.volumes()
        }
        #expect(error?.code == .keyManagerUnavailable)
        #expect(error?.advice != nil)
      }
    }
  }

  @Test func nobodyThere() async {
    let client = VolumeClient(HTTPTransport(.unixSocket("/nonexistent/cofferd.sock")))
    let error = await failure { () throws(VolumeError) in _ = try await client.status() }
    #expect(
      error
        == VolumeError(
          .keyManagerUnavailable,
          "cannot connect to the service at /nonexistent/cofferd.sock: No such file or directory",
          advice:
            "Is cofferd running? Start it, or name its socket with --socket or COFFER_SOCKET"))
  }
}

/// The error that `body` throws.
private func failure(of body: () async throws(VolumeError) -> Void) async -> VolumeError? {
  do throws(VolumeError) {
    try await body()
    return nil
  } catch {
    return error
  }
}
