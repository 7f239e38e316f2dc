import Glibc
import HostSystem
import Testing

@Suite struct ImageLockTests {
  private func temporaryFile() throws -> String {
    var template = Array("/tmp/coffer-lock-XXXXXX".utf8CString)
    let number = mkstemp(&template)
    try #require(number >= 0)
    close(number)
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  @Test func oneWriterOrManyReaders() throws {
    let path = try temporaryFile()
    defer { unlink(path) }
    do {
      let writer = try Descriptor.open(path, O_RDWR)
      let other = try Descriptor.open(path, O_RDWR)
      let answers = [
        try ImageLock.tryLock(writer, exclusive: true),
        try ImageLock.tryLock(other, exclusive: true),
        try ImageLock.tryLock(other, exclusive: false),
        try ImageLock.isHeld(other),
      ]
      #expect(answers == [true, false, false, true])
    }
    let first = try Descriptor.open(path, O_RDWR)
    let second = try Descriptor.open(path, O_RDWR)
    let answers = [
      try ImageLock.tryLock(first, exclusive: false),
      try ImageLock.tryLock(second, exclusive: false),
      try ImageLock.tryLock(second, exclusive: true),
    ]
    #expect(answers == [true, true, false])
  }

  @Test func openFailureNamesThePath() throws {
    do {
      _ = try Descriptor.open("/nonexistent/file", O_RDONLY)
      Issue.record("opened a file that does not exist")
    } catch {
      #expect(error.code == .noSuchFileOrDirectory)
      #expect(error.description.contains("/nonexistent/file"))
    }
  }
}
