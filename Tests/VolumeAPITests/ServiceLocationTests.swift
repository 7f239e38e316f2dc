import Glibc
import Testing
import VolumeAPI

private typealias Status = UserEnvironment.FileStatus

/// A made-up machine with these variables, directories and listening sockets.
private func user(
  _ uid: UInt32 = 1000, _ variables: [String: String] = [:], files: [String: Status] = [:],
  listening: Set<String> = []
) -> UserEnvironment {
  UserEnvironment(
    uid: uid, variables: { variables[$0] }, currentDirectory: { "/here" }, status: { files[$0] },
    canConnect: { listening.contains($0) })
}

private func directory(_ owner: UInt32 = 1000, _ permissions: UInt32 = 0o700) -> Status {
  Status(isDirectory: true, owner: owner, permissions: permissions)
}

private let systemSocket = "/run/coffer/cofferd.sock"

/// A machine and what is found on it.
private struct Row: Sendable {
  var user: UserEnvironment
  var socket: String?
  var expected: ServiceLocation
}

private let rows =
  [
    // Named by the user.
    Row(
      user: user(1000, ["COFFER_SOCKET": "/env"], listening: [systemSocket]), socket: "/option",
      expected: ServiceLocation(socket: "/option", kind: .explicit)),
    Row(user: user(0), socket: "s", expected: ServiceLocation(socket: "/here/s", kind: .explicit)),
    Row(
      user: user(0, ["COFFER_SOCKET": "/env"]),
      expected: ServiceLocation(socket: "/env", kind: .explicit)),
    // The machine's.
    Row(user: user(0), expected: ServiceLocation(socket: systemSocket, kind: .system)),
    Row(
      user: user(0, ["COFFER_SOCKET": "", "XDG_RUNTIME_DIR": "/run/user/0"], files: [:]),
      expected: ServiceLocation(socket: systemSocket, kind: .system)),
    Row(
      user: user(
        1000, ["XDG_RUNTIME_DIR": "/x"], files: ["/x": directory()], listening: [systemSocket]),
      expected: ServiceLocation(socket: systemSocket, kind: .system)),
    // The user's own.
    Row(
      user: user(
        1000, ["XDG_RUNTIME_DIR": "/x"],
        files: ["/x": directory(), "/run/user/1000": directory()]),
      expected: ServiceLocation(socket: "/x/coffer/cofferd.sock", kind: .own)),
    Row(
      user: user(1000, files: ["/run/user/1000": directory()]),
      expected: ServiceLocation(socket: "/run/user/1000/coffer/cofferd.sock", kind: .own)),
    Row(
      user: user(), expected: ServiceLocation(socket: "/tmp/coffer-1000/cofferd.sock", kind: .own)),
    Row(
      user: user(files: ["/tmp/coffer-1000": directory()]),
      expected: ServiceLocation(socket: "/tmp/coffer-1000/cofferd.sock", kind: .own)),
  ]
  + notOurs.map { variables, files in
    Row(
      user: user(1000, variables, files: files),
      expected: ServiceLocation(socket: "/tmp/coffer-1000/cofferd.sock", kind: .own))
  }

/// Runtime directories that are passed over.
private let notOurs: [([String: String], [String: Status])] = [
  (["XDG_RUNTIME_DIR": "/x"], ["/x": directory(0)]),
  (["XDG_RUNTIME_DIR": "/x"], ["/x": directory(1000, 0o777)]),
  (["XDG_RUNTIME_DIR": "/x"], ["/x": Status(isDirectory: false, owner: 1000, permissions: 0o777)]),
  (["XDG_RUNTIME_DIR": "/missing"], [:]),
  (["XDG_RUNTIME_DIR": "x"], ["x": directory()]),
  ([:], ["/run/user/1000": directory(1001)]),
]

@Suite struct ServiceLocationTests {
  @Test(arguments: rows.indices)
  func findsTheSocket(_ index: Int) throws {
    let row = rows[index]
    #expect(try ServiceLocation.find(socket: row.socket, for: row.user) == row.expected)
  }

  @Test(arguments: [
    Status(isDirectory: true, owner: 1001, permissions: 0o700),
    Status(isDirectory: true, owner: 0, permissions: 0o700),
    Status(isDirectory: true, owner: 1000, permissions: 0o755),
    Status(isDirectory: true, owner: 1000, permissions: 0o770),
    Status(isDirectory: false, owner: 1000, permissions: 0o700),
  ])
  func refusesATrap(_ status: UserEnvironment.FileStatus) {
    let error = #expect(throws: VolumeError.self) {
      try ServiceLocation.find(for: user(files: ["/tmp/coffer-1000": status]))
    }
    #expect(error?.code == .notAuthorized)
    #expect(error?.message.contains("/tmp/coffer-1000") == true)
  }

  @Test func refusesAPathThatNoSocketCanHave() throws {
    let longest = "/" + String(repeating: "a", count: 106)
    #expect(try ServiceLocation.find(socket: longest, for: user()).socket == longest)
    let error = #expect(throws: VolumeError.self) {
      try ServiceLocation.find(socket: longest + "a", for: user())
    }
    #expect(error?.code == .invalidRequest)
  }

  @Test func makesItsDirectoryAndChecksOneThatIsThere() throws {
    var template = Array("/tmp/coffer-location-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    let parent = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let made = "\(parent)/coffer"
    defer {
      rmdir(made)
      unlink(made)
      rmdir(parent)
    }
    let location = ServiceLocation(socket: "\(made)/cofferd.sock", kind: .own)
    try location.prepareDirectory(for: .current)
    var status = stat()
    #expect(lstat(made, &status) == 0 && status.st_mode & 0o7777 == 0o700)
    try location.prepareDirectory(for: .current)
    chmod(made, 0o755)
    #expect(throws: VolumeError.self) { try location.prepareDirectory(for: .current) }
    rmdir(made)
    symlink(parent, made)
    #expect(throws: VolumeError.self) { try location.prepareDirectory(for: .current) }
    unlink(made)
    let machine = ServiceLocation(socket: "\(made)/cofferd.sock", kind: .system)
    try machine.prepareDirectory(for: .current)
    #expect(lstat(made, &status) == 0 && status.st_mode & 0o7777 == 0o755)
    try machine.prepareDirectory(for: .current)
    chmod(made, 0o775)
    #expect(throws: VolumeError.self) { try machine.prepareDirectory(for: .current) }
    let explicit = ServiceLocation(socket: "\(parent)/c/cofferd.sock", kind: .explicit)
    try explicit.prepareDirectory(for: .current)
    #expect(UserEnvironment.current.status("\(parent)/c") == nil)
    let nowhere = ServiceLocation(socket: "\(parent)/a/b/cofferd.sock", kind: .own)
    #expect(throws: VolumeError.self) { try nowhere.prepareDirectory(for: .current) }
  }

  @Test func findsStateDirectories() throws {
    #expect(try StateDirectory.path(for: user(0, ["HOME": "/root"])) == "/var/lib/coffer")
    #expect(
      try StateDirectory.path(for: user(1000, ["HOME": "/home/u", "XDG_DATA_HOME": "/d"]))
        == "/d/coffer")
    #expect(
      try StateDirectory.path(for: user(1000, ["HOME": "/home/u", "XDG_DATA_HOME": "d"]))
        == "/home/u/.local/share/coffer")
    #expect(throws: VolumeError.self) { try StateDirectory.path(for: user(1000, ["HOME": ""])) }
  }
}
