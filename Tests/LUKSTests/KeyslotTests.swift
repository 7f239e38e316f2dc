import Glibc
import SecretMemory
import Testing

@testable import LUKS

/// Changing keyslots and the token of images that cryptsetup and qemu made.
@Suite final class KeyslotTests {
  private let workspace: Workspace
  private let key: SecretBytes

  init() throws {
    workspace = try Workspace()
    key = try ManagedPassphrase.of(key: testKey())
  }

  @Test(arguments: [
    "--type luks1", "--type luks1 --hash sha512 --key-size 256", "--type luks2",
    "--type luks2 --key-size 256 --sector-size 512",
  ])
  func managedKeyslotBesideTheUsers(options: String) async throws {
    let path = try workspace.cryptsetupImage(options)
    let image = try await LUKSImage.open(path: path, readOnly: false)
    let expected = try await image.unlock(passphrase: secret("pw")).exposed
    let keyslot = try await image.addManagedKeyslot(
      existing: secret("pw"), managedPassphrase: key)
    #expect(keyslot == 1)
    #expect(await image.keyslots == [0, 1])
    let found = try await image.unlock(passphrase: key)
    #expect(found.keyslot == 1)
    #expect(found.exposed == expected)

    try workspace.run("printf %s \(testKeyText) >hex")
    try workspace.run("cryptsetup open --test-passphrase --key-file hex --key-slot 1 image")
    try workspace.run("cryptsetup open --test-passphrase --key-file key --key-slot 0 image")
    let dump = try workspace.run("cryptsetup luksDump image")
    #expect(
      dump.matches(of: /Iterations: +\t? *1000\n/).count == (options.contains("luks1") ? 2 : 3))
  }

  @Test func qemuImageGetsAManagedKeyslot() async throws {
    let image = try await LUKSImage.open(path: workspace.qemuImage(), readOnly: false)
    _ = try await image.addManagedKeyslot(existing: secret("pw"), managedPassphrase: key)
    try workspace.run("printf %s \(testKeyText) >hex")
    try workspace.run(
      "qemu-img info --object secret,id=s,file=hex --image-opts "
        + "driver=luks,key-secret=s,file.filename=image")
    try workspace.run(
      "qemu-img convert --object secret,id=s,file=hex --image-opts "
        + "driver=luks,key-secret=s,file.filename=image -O raw plain")
  }

  @Test func wrongExistingKeyChangesNothing() async throws {
    for type in ["luks1", "luks2"] {
      let path = try workspace.cryptsetupImage("--type \(type)")
      let before = try contents(of: path)
      let image = try await LUKSImage.open(path: path, readOnly: false)
      let error = try await failure(of: {
        try await image.addManagedKeyslot(existing: secret("no"), managedPassphrase: key)
      })
      #expect(error.code == .wrongKey)
      #expect(await image.keyslots == [0])
      #expect(try holds(path, before))
    }
  }

  @Test(arguments: [("luks1", 8), ("luks2", 32)])
  func allKeyslotsTaken(type: String, count: Int) async throws {
    let path = try workspace.cryptsetupImage("--type \(type) --offset 32768", size: 17 << 20)
    let image = try await LUKSImage.open(path: path, readOnly: false)
    for number in 1..<count {
      let added = try await image.addManagedKeyslot(
        existing: secret("pw"), managedPassphrase: secret("key \(number)"))
      #expect(added == number)
    }
    let before = try contents(of: path)
    let error = try await failure(of: {
      try await image.addManagedKeyslot(existing: secret("pw"), managedPassphrase: key)
    })
    #expect(error.code == .noFreeKeyslot)
    #expect(try holds(path, before))
  }

  @Test func tokenIsSetReplacedAndRemoved() async throws {
    let path = try workspace.cryptsetupImage("--type luks2")
    try workspace.run(
      #"printf '{"type":"other","keyslots":["0"]}' | cryptsetup token import --token-id 0 image"#)
    let image = try await LUKSImage.open(path: path, readOnly: false)
    let keyslot = try await image.addManagedKeyslot(
      existing: secret("pw"), managedPassphrase: key)
    let first = ManagedToken(keyslots: [keyslot], keyID: "first", volumeID: "volume")
    try await image.setToken(first)
    #expect(await image.token == first)
    let second = ManagedToken(keyslots: [0, keyslot], keyID: "second", volumeID: "volume")
    try await image.setToken(second)

    let again = try await LUKSImage.open(path: path, readOnly: false)
    #expect(await again.token == second)
    let tried = try await again.unlock(passphrase: key, keyslots: again.token?.keyslots)
    #expect(tried.keyslot == keyslot)
    let dump = try workspace.run("cryptsetup luksDump image")
    #expect(dump.contains("0: other") && dump.contains("1: coffer") && !dump.contains("2: coffer"))

    try await again.removeToken()
    try await again.removeToken()
    #expect(await again.token == nil)
    #expect(try await LUKSImage.open(path: path, readOnly: true).token == nil)
    #expect(try workspace.run("cryptsetup luksDump image").contains("0: other"))
  }

  @Test func tokenNamesKeyslotsThatExist() async throws {
    let path = try workspace.cryptsetupImage("--type luks2")
    let before = try contents(of: path)
    let image = try await LUKSImage.open(path: path, readOnly: false)
    let error = try await failure(of: {
      try await image.setToken(ManagedToken(keyslots: [0, 7], keyID: "k", volumeID: "v"))
    })
    #expect(error.code == .invalidRequest)
    #expect(try holds(path, before))
  }

  @Test func tokenThatDoesNotFitIsRefused() async throws {
    let path = try workspace.cryptsetupImage("--type luks2")
    let before = try contents(of: path)
    let image = try await LUKSImage.open(path: path, readOnly: false)
    let long = String(repeating: "x", count: 20_000)
    let error = try await failure(of: {
      try await image.setToken(ManagedToken(keyslots: [0], keyID: long, volumeID: "v"))
    })
    #expect(error.code == .noSpace)
    #expect(await image.token == nil)
    #expect(try holds(path, before))
    let short = ManagedToken(keyslots: [0], keyID: "k", volumeID: "v")
    try await image.setToken(short)
    #expect(try await LUKSImage.open(path: path, readOnly: true).token == short)
  }

  @Test func luks1HasNoTokens() async throws {
    let path = try workspace.cryptsetupImage("--type luks1")
    let image = try await LUKSImage.open(path: path, readOnly: false)
    let error = try await failure(of: {
      try await image.setToken(ManagedToken(keyslots: [0], keyID: "k", volumeID: "v"))
    })
    #expect(error.code == .unsupported(.token))
    try await image.removeToken()
  }

  @Test(arguments: [
    #"{"type":"coffer","keyslots":["0"]}"#,
    #"{"type":"coffer","keyslots":["0"],"key_id":"k"}"#,
    #"{"type":"coffer","keyslots":["0"],"volume_id":"v"}"#,
  ])
  func tokenWithoutIDsIsNoticedAndIgnored(json: String) async throws {
    let path = try workspace.cryptsetupImage("--type luks2")
    try workspace.run("printf '\(json)' | cryptsetup token import image")
    let image = try await LUKSImage.open(path: path, readOnly: true)
    #expect(await image.token == nil)
    #expect(image.notices.count == 1 && image.notices[0].contains("ignored"))
  }

  /// Members of other types must not make the image unreadable.
  @Test(arguments: [
    #"{"type":"coffer","keyslots":["0"],"key_id":1,"volume_id":["v"]}"#,
    #"{"type":"other","keyslots":["0"],"key_id":{"a":[]},"volume_id":true}"#,
    #"{"type":"other","keyslots":[],"key_id":null}"#,
  ])
  func tokensOfOtherShapes(json: String) async throws {
    let path = try workspace.cryptsetupImage("--type luks2")
    try workspace.run("printf '\(json)' | cryptsetup token import image")
    let image = try await LUKSImage.open(path: path, readOnly: true)
    #expect(await image.token == nil)
    #expect(image.notices.count == (json.contains("coffer") ? 1 : 0))
  }

  @Test(arguments: ["luks1", "luks2"])
  func destroyedKeyslotOpensNothing(type: String) async throws {
    let path = try workspace.cryptsetupImage("--type \(type)")
    let image = try await LUKSImage.open(path: path, readOnly: false)
    _ = try await image.addManagedKeyslot(existing: secret("pw"), managedPassphrase: key)
    if type == "luks2" {
      try await image.setToken(ManagedToken(keyslots: [0, 1], keyID: "k", volumeID: "v"))
    }
    try await image.destroyKeyslot(0)
    #expect(await image.keyslots == [1])
    let wrong = try await failure(of: { try await image.unlock(passphrase: secret("pw")) })
    #expect(wrong.code == .wrongKey)
    let again = try await LUKSImage.open(path: path, readOnly: true)
    #expect(await again.token == image.token)
    #expect(await again.token?.keyslots == (type == "luks2" ? [1] : nil))
    let refused = try workspace.attempt("cryptsetup open --test-passphrase --key-file key image").0
    #expect(refused != .exited(0))

    let before = try contents(of: path)
    for number in [0, 1, 2, -1, 1000] {
      let error = try await failure(of: { try await image.destroyKeyslot(number) })
      #expect(error.code == .invalidRequest)
    }
    #expect(try holds(path, before))
  }

  @Test(arguments: ["luks1", "luks2"])
  func erasedImageOpensNoMore(type: String) async throws {
    let path = try workspace.cryptsetupImage("--type \(type)")
    let areas = try contents(of: path)[0x8000..<(1 << 20)]
    let image = try await LUKSImage.open(path: path, readOnly: false)
    _ = try await image.addManagedKeyslot(existing: secret("pw"), managedPassphrase: key)
    try await image.eraseAllKeyslots()
    #expect(await image.keyslots == [])
    let unlocking = try await failure(of: { try await image.unlock(passphrase: key) })
    #expect(unlocking.code == .wrongKey)
    let opening = try await failureToOpen(path, readOnly: false)
    #expect(opening.code == .noKeyslots)
    #expect(try contents(of: path)[0x8000..<(1 << 20)] != areas)
    try await image.eraseAllKeyslots()
  }

  @Test func nothingChangesWhatWasOpenedForReading() async throws {
    let path = try workspace.cryptsetupImage("--type luks2")
    let before = try contents(of: path)
    let image = try await LUKSImage.open(path: path, readOnly: true)
    let token = ManagedToken(keyslots: [0], keyID: "k", volumeID: "v")
    let errors = [
      try await failure(of: {
        try await image.addManagedKeyslot(existing: secret("pw"), managedPassphrase: key)
      }),
      try await failure(of: { try await image.setToken(token) }),
      try await failure(of: { try await image.removeToken() }),
      try await failure(of: { try await image.destroyKeyslot(0) }),
      try await failure(of: { try await image.eraseAllKeyslots() }),
    ]
    for error in errors { #expect(error.code == .readOnly) }
    #expect(try holds(path, before))
  }

  /// The keyslot areas of an image from elsewhere may be holes, and the disk full.
  @Test func fullDisk() async throws {
    try workspace.run("mkdir small && mount -t tmpfs -o size=3m tmpfs small")
    defer { _ = try? workspace.run("umount -l small") }
    try workspace.run(
      "printf pw >key && truncate -s 20M small/image && "
        + "cryptsetup luksFormat \(workspace.fast) --type luks1 small/image && "
        + "fallocate --punch-hole --offset 262144 --length 1048576 small/image && "
        + "(cat /dev/zero >small/filler || true) 2>/dev/null")
    let path = workspace.file("small/image")
    let before = try contents(of: path)
    let image = try await LUKSImage.open(path: path, readOnly: false)
    let error = try await failure(of: {
      try await image.addManagedKeyslot(existing: secret("pw"), managedPassphrase: key)
    })
    #expect(error.code == .noSpace)
    #expect(try holds(path, before))
  }
}
