import Glibc
import HostSystem
import Testing

@Suite struct PathNameTests {
  @Test func absolute() throws {
    let pointer = try #require(getcwd(nil, 0))
    defer { free(pointer) }
    let here = String(cString: pointer)
    #expect(PathName.absolute("a/b") == "\(here)/a/b")
    #expect(PathName.absolute("./a//b/") == "\(here)/a/b")
    #expect(PathName.absolute(".") == here)
    #expect(PathName.absolute("/x/./y/../z/") == "/x/y/../z")
    #expect(PathName.absolute("/") == "/")
  }

  @Test func resolvedMayEndInAMissingName() throws {
    #expect(try PathName.resolved("/proc/../dev/nothing-there/") == "/dev/nothing-there")
    #expect(try PathName.resolved("/nothing-there") == "/nothing-there")
    #expect(throws: SystemError.self) { try PathName.resolved("/nothing-there/either") }
  }
}
