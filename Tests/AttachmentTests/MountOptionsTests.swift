import Attachment
import KeyManager
import Testing
import VolumeAPI

@Suite struct MountOptionsTests {
  private func request(_ options: String, sloppy: Bool = false) throws -> AttachmentRequest {
    var request = AttachmentRequest(volume: "data", mountpoint: "/mnt")
    try MountOptions.apply(options, to: &request, sloppy: sloppy)
    return request
  }

  @Test func coffersOwn() throws {
    let id = KeyID.random()
    let request = try request(
      "ro,nosuid,nodev,noexec,allow_other,uid=1000,gid=100,key-id=\(id),socket=/run/x.sock,project=p"
    )
    #expect(request.readOnly && request.noSetUserID && request.noDevices && request.noExecution)
    #expect(request.allowOther)
    #expect(request.uid == 1000 && request.gid == 100)
    #expect(request.keyID == id)
    #expect(request.socket == "/run/x.sock")
    #expect(request.project == "p")
    #expect(request.fileSystem == nil)
  }

  @Test func theLastOneCounts() throws {
    #expect(try !request("ro,rw").readOnly)
    #expect(try request("rw,nosuid,suid,ro").noSetUserID == false)
  }

  @Test(arguments: [
    "defaults", "nofail", "_netdev", "noauto", "auto", "user", "users", "x-systemd.automount",
    "x-systemd.device-timeout=10", "X-mount.mkdir", "comment=hello",
  ])
  func forOthers(option: String) throws {
    #expect(try request(option) == request(""))
  }

  @Test func theFileSystemInside() throws {
    #expect(try request("fs").fileSystem == InnerFileSystem())
    #expect(try request("fs=auto").fileSystem == InnerFileSystem())
    #expect(
      try request("noatime,fs=ext4").fileSystem
        == InnerFileSystem(type: "ext4", options: ["noatime"]))
  }

  @Test func howTheDataTravel() throws {
    let request = try request("transport=uring,cache=writeback,backing-cache=none")
    #expect(request.transport == .uring && request.cache == .writeback)
    #expect(request.backingCache == .none)
  }

  @Test(arguments: [
    "transport=fast", "cache", "cache=all", "backing-cache=writeback", "frobnicate", "uid=me",
    "uid", "key-id=1", "fss=ext4", "ro=1",
  ])
  func unknownIsAnError(option: String) throws {
    #expect(throws: VolumeError.self) { try request(option) }
  }

  @Test func unlessSloppy() throws {
    #expect(try request("frobnicate,ro", sloppy: true).readOnly)
  }
}
