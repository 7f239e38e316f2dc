import Testing

@testable import HostSystem

@Suite struct MountTableTests {
  @Test func readsEscapesAndOptionalFields() throws {
    let entries = MountTable.parse(
      """
      36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
      40 35 0:53 / /mnt/with\\040space rw,nosuid - fuse.coffer my\\134volume rw,user_id=1000,group_id=1000
      """)
    #expect(entries.count == 2)
    #expect(entries[0].type == "ext3")
    #expect(entries[0].superOption("errors") == "continue")
    #expect(entries[1].mountpoint == "/mnt/with space")
    #expect(entries[1].source == "my\\volume")
    #expect(entries[1].device == "0:53")
    #expect(entries[1].superOption("user_id") == "1000")
    #expect(entries[1].superOption("group") == nil)
  }

  @Test func seesTheRealTable() throws {
    let proc = try MountTable.entry(at: "/proc")
    #expect(proc?.type == "proc")
  }
}
