import KeyManager
import Testing

@Suite struct RoleTests {
  @Test(
    arguments: [
      ([], []),
      ([.reader], [.reader]),
      ([.creator], [.reader, .creator]),
      ([.admin], [.reader, .creator, .admin]),
      ([.reader, .creator], [.reader, .creator]),
    ] as [([Role], [Role])])
  func eachIncludesTheOnesBefore(_ roles: [Role], _ allowed: [Role]) {
    let context = RequestContext(user: "u", project: "p", roles: Set(roles))
    #expect(Role.allCases.filter { context.may(actAs: $0) } == allowed)
  }

  @Test func aLocalUserMayDoAllInAPrivateProject() {
    let context = RequestContext.local(uid: 1000)
    #expect(context.user == "uid-1000")
    #expect(context.project == "uid-1000")
    #expect(context.may(actAs: .admin))
  }
}
