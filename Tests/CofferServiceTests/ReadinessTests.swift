import Glibc
import HostSystem
import Testing

@testable import CofferService

@Suite struct ReadinessTests {
  /// After the first word the descriptor's number may be another file's.
  @Test func onlyTheFirstWordIsWritten() throws {
    var pipe = try Pipe.make()
    let readiness = Readiness(descriptor: dup(pipe.writer.rawValue))
    readiness.announce()
    readiness.announce(DaemonError(.failure, "later"))
    pipe.writer = Descriptor(adopting: -1)
    let text = String(decoding: try pipe.reader.readAll(limit: 4096), as: UTF8.self)
    #expect(text == "ready\n")
  }

  @Test func aFailureIsOneLineOfJSON() throws {
    var pipe = try Pipe.make()
    Readiness(descriptor: dup(pipe.writer.rawValue))
      .announce(DaemonError(.alreadyRunning, "a \"name\"\nand more"))
    pipe.writer = Descriptor(adopting: -1)
    let text = String(decoding: try pipe.reader.readAll(limit: 4096), as: UTF8.self)
    #expect(text == #"{"code":"in-use","message":"a \"name\"\nand more"}"# + "\n")
  }
}
