import Attachment
import Testing
import VolumeAPI

@Suite struct HelperArgumentsTests {
  @Test func asMountCallsIt() throws {
    let arguments = try HelperArguments(
      ["data", "/mnt", "-sn", "-v", "-o", "ro,nodev", "-t", "fuse.x"])
    #expect(arguments.operands == ["data", "/mnt"])
    #expect(arguments.sloppy && arguments.verbose && !arguments.fake)
    let request = try arguments.request()
    #expect(request.volume == "data" && request.mountpoint == "/mnt")
    #expect(request.readOnly && request.noDevices)
  }

  @Test func valuesInOneWordOrTwo() throws {
    #expect(try HelperArguments(["-oro", "-N42"]).options == ["ro"])
    #expect(try HelperArguments(["-N", "/run/ns"]).namespace == "/run/ns")
    #expect(try HelperArguments(["--", "-x"]).operands == ["-x"])
  }

  @Test func forceIsNotFake() throws {
    #expect(try HelperArguments(["-f"]).fake)
    #expect(try !HelperArguments(["/mnt", "-fl"], unmounting: true).fake)
    #expect(try HelperArguments(["/mnt", "-fl"], unmounting: true).lazy)
  }

  @Test(arguments: [["-o"], ["-q"], ["data", "/mnt", "-N"]])
  func wrong(words: [String]) {
    #expect(throws: VolumeError.self) { try HelperArguments(words) }
  }

  @Test(arguments: [[], ["data"], ["data", "/mnt", "more"]])
  func wrongOperands(words: [String]) {
    #expect(throws: VolumeError.self) { try HelperArguments(words).request() }
  }
}
