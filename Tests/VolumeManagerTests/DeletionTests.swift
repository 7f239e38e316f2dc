import Glibc
import HostSystem
import KeyManager
import Testing
import VolumeAPI

@testable import VolumeManager

@Suite struct DeletionTests {
  @Test(arguments: ["pool", "home"])
  func leavesNothingOfWhatCofferMade(place: String) async throws {
    let sandbox = try await Sandbox()
    let image = place == "pool" ? nil : "\(sandbox.home)/image"
    let volume = try await sandbox.create(image: image)
    let key = try await sandbox.hexadecimal(volume.keyID)
    let copy = try Descriptor.open(volume.image, O_RDONLY)
    let inode = try stat.of(volume.image).st_ino
    try await sandbox.manager.delete(
      volume.id.description, context: sandbox.context, caller: sandbox.user)
    try await sandbox.expectNoOrphans()
    #expect(try await sandbox.manager.volumes(context: sandbox.context).isEmpty)
    // Also who still has the file open finds no keyslot in it.
    #expect(try copy.status().st_ino == inode)
    #expect(!Cryptsetup.opens("/proc/\(getpid())/fd/\(copy.rawValue)", key))
    #expect(await volumeError { try await sandbox.delete() }?.code == .noSuchVolume)
  }

  @Test(arguments: ["pool", "home", "adopted"])
  func isNotStoppedByAMissingImageOrKey(place: String) async throws {
    let sandbox = try await Sandbox()
    for missing in ["image", "key", "both"] {
      let volume =
        switch place {
        case "adopted": try await sandbox.adopt(try sandbox.makeImage("theirs"))
        case "home": try await sandbox.create(image: "\(sandbox.home)/image")
        default: try await sandbox.create()
        }
      if missing != "key" { unlink(volume.image) }
      if missing != "image" {
        try await sandbox.keys.delete(volume.keyID, force: true, context: sandbox.context)
      }
      try await sandbox.delete()
      let isKept = place == "adopted" && missing == "key"
      try await sandbox.expectNoOrphans(files: isKept ? ["theirs"] : [])
      if isKept { #expect(try Cryptsetup.metadata(volume.image).tokens.isEmpty) }
    }
  }

  @Test func removesAnImageWithADamagedHeader() async throws {
    let sandbox = try await Sandbox()
    for image in [nil, "\(sandbox.home)/image"] {
      let volume = try await sandbox.create(image: image)
      // All but the first header's beginning.
      try Tool.check(
        "/bin/sh",
        ["-c", "head -c 64K /dev/urandom | dd of='\(volume.image)' bs=512 seek=1 conv=notrunc"])
      try await sandbox.delete()
      try await sandbox.expectNoOrphans()
    }
  }

  @Test(arguments: ["file", "image", "link", "directory"])
  func leavesAFileThatTookTheImagesPlace(kind: String) async throws {
    let sandbox = try await Sandbox()
    let volume = try await sandbox.create(image: "\(sandbox.home)/image")
    rename(volume.image, "\(sandbox.directory)/moved")
    switch kind {
    case "file": try Tool.check("/bin/sh", ["-c", "head -c 20M /dev/urandom > \(volume.image)"])
    case "image": _ = try sandbox.makeImage("image")
    case "link": symlink("\(sandbox.directory)/moved", volume.image)
    default: mkdir(volume.image, 0o755)
    }
    chown(volume.image, 61001, 61001)
    let hex = try await sandbox.hexadecimal(volume.keyID)
    try await sandbox.delete()
    try await sandbox.expectNoOrphans(files: ["image"])
    #expect(Cryptsetup.opens("\(sandbox.directory)/moved", hex))
    if kind == "image" { #expect(Cryptsetup.opens(volume.image, "correct horse")) }
  }

  @Test func isRefusedWhileTheImageIsLocked() async throws {
    let sandbox = try await Sandbox()
    let volumes = [
      try await sandbox.create("pool"),
      try await sandbox.create("home", image: "\(sandbox.home)/image"),
      try await sandbox.adopt(try sandbox.makeImage("theirs"), name: "adopted"),
    ]
    for volume in volumes {
      for exclusive in [false, true] {
        let holder = try Descriptor.open(volume.image, O_RDWR)
        // A child that another test starts keeps the former lock until it is started.
        while try !ImageLock.tryLock(holder, exclusive: exclusive) { usleep(1000) }
        let error = await volumeError { try await sandbox.delete(volume.name) }
        #expect(error?.code == .inUse)
      }
    }
    try await sandbox.expectNoOrphans()
    for volume in volumes { try await sandbox.delete(volume.name) }
    try await sandbox.expectNoOrphans(files: ["theirs"])
  }

  @Test(arguments: ["link", "hard link", "owner", "directory"])
  func refusesWhatIsNotAsItMadeItInThePool(attack: String) async throws {
    let sandbox = try await Sandbox()
    let volume = try await sandbox.create()
    let moved = "\(sandbox.directory)/moved"
    switch attack {
    case "link":
      rename(volume.image, moved)
      symlink(moved, volume.image)
    case "hard link": link(volume.image, moved)
    case "owner": chown(volume.image, 61002, 61002)
    default:
      rename(volume.image, moved)
      mkdir(volume.image, 0o755)
    }
    let error = await volumeError { try await sandbox.delete() }
    #expect(error != nil)
    #expect(
      try await sandbox.manager.volume("data", context: sandbox.context).state == .available)
    let key = try await sandbox.hexadecimal(volume.keyID)
    #expect(Cryptsetup.opens(attack == "owner" ? volume.image : moved, key))
  }

  @Test func rootFollowsAUsersPathWithTheUsersRights() async throws {
    let sandbox = try await Sandbox()
    let target = "\(sandbox.directory)/roots"
    mkdir(target, 0o700)
    mkdir("\(sandbox.home)/place", 0o755)
    chown("\(sandbox.home)/place", 61001, 61001)
    let volume = try await sandbox.create(image: "\(sandbox.home)/place/image")
    // The same image, in a directory that the user cannot even list.
    rename(volume.image, "\(target)/image")
    rmdir("\(sandbox.home)/place")
    symlink(target, "\(sandbox.home)/place")
    let error = await volumeError { try await sandbox.delete(caller: sandbox.root) }
    #expect(error?.code == .notAuthorized)
    let key = try await sandbox.hexadecimal(volume.keyID)
    #expect(Cryptsetup.opens("\(target)/image", key))
  }

  @Test func canBeRepeatedAfterAFailure() async throws {
    let scratch = try ScratchDirectory()
    for (fault, image) in [
      ("wiped", nil), ("wiped", "\(scratch.path)/home/image"),
      ("removed", "\(scratch.path)/home/image"),
    ] as [(String, String?)] {
      do {
        let sandbox = try await Sandbox(in: scratch.path, worker: .dying(at: fault))
        let volume = try await sandbox.create(image: image)
        _ = await volumeError { try await sandbox.delete() }
        let state = try await sandbox.manager.volume("data", context: sandbox.context).state
        #expect(state == .deleting)
        #expect(try await sandbox.keys.list(KeyQuery(), context: sandbox.context).total == 1)
        let attachment = AttachmentDocument.of(volume)
        let error = await volumeError {
          try await sandbox.manager.register(
            attachment, context: sandbox.context, caller: sandbox.user)
        }
        #expect(error?.code == .inUse)
        try await sandbox.close()
      }
      let sandbox = try await Sandbox(in: scratch.path)
      try await sandbox.delete()
      try await sandbox.expectNoOrphans()
      try await sandbox.close()
    }
  }
}
