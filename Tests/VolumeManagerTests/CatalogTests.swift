import GRDB
import Glibc
import Testing

@testable import VolumeManager

@Suite struct CatalogTests {
  @Test func aCommitIsDurable() throws {
    var template = Array("/tmp/coffer-catalog-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    let directory = String(
      decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
      for suffix in ["", "-wal", "-shm"] { unlink("\(directory)/catalog.db\(suffix)") }
      rmdir(directory)
    }
    let catalog = try Catalog.open("\(directory)/catalog.db")
    let settings = try catalog.read { database in
      (
        try String.fetchOne(database, sql: "PRAGMA journal_mode"),
        try Int.fetchOne(database, sql: "PRAGMA synchronous")
      )
    }
    #expect(settings.0 == "wal")
    #expect(settings.1 == 2, "FULL: https://www.sqlite.org/pragma.html#pragma_synchronous")
  }
}
