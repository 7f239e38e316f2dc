import Glibc
import HostSystem
import KeyManager
import Testing
import VolumeAPI

@testable import VolumeManager

/// What is done before the process dies.
enum Deed: String, Codable, CaseIterable {
  case createInPool, createAtPath, adopt1, adopt2, deleteInPool, deleteAtPath, deleteAdopted

  /// The steps that it goes through.
  var points: [JournalPoint] {
    switch self {
    case .createInPool: [.begun, .keyMade, .keyRecorded, .imageCreated, .imageDone, .ended]
    case .createAtPath, .adopt1, .adopt2: [.begun, .keyMade, .keyRecorded, .imageDone, .ended]
    case .deleteInPool, .deleteAtPath, .deleteAdopted:
      [.begun, .imageDone, .imageRecorded, .keyDeleted, .ended]
    }
  }

  /// The points of its worker.
  var faults: [String] {
    switch self {
    case .createInPool: ["format", "formatted"]
    case .createAtPath: ["format", "formatted", "named"]
    case .adopt1, .adopt2: ["keyslot", "adopted"]
    case .deleteInPool: ["wiped"]
    case .deleteAtPath: ["wiped", "removed"]
    case .deleteAdopted: ["released"]
    }
  }

  var isDeletion: Bool { rawValue.hasPrefix("delete") }

  /// Whether its image was there before.
  var isAdoption: Bool { self == .adopt1 || self == .adopt2 || self == .deleteAdopted }

  /// What it needs to find.
  func prepare(_ sandbox: Sandbox, caller: PeerCredentials) async throws {
    if isAdoption {
      _ = try sandbox.makeImage("theirs", type: self == .adopt1 ? "luks1" : "luks2")
    }
    switch self {
    case .deleteInPool: _ = try await sandbox.create(caller: caller)
    case .deleteAtPath:
      _ = try await sandbox.create(image: "\(sandbox.home)/image", caller: caller)
    case .deleteAdopted: _ = try await sandbox.adopt("\(sandbox.home)/theirs", caller: caller)
    default: break
    }
  }

  func perform(_ sandbox: Sandbox, caller: PeerCredentials) async throws {
    switch self {
    case .createInPool: _ = try await sandbox.create(caller: caller)
    case .createAtPath:
      _ = try await sandbox.create(image: "\(sandbox.home)/image", caller: caller)
    case .adopt1, .adopt2: _ = try await sandbox.adopt("\(sandbox.home)/theirs", caller: caller)
    case .deleteInPool, .deleteAtPath, .deleteAdopted: try await sandbox.delete(caller: caller)
    }
  }
}

/// SIGKILL at every step, then a new start.
@Suite struct CrashTests {
  static let steps = Deed.allCases.flatMap { deed in deed.points.map { (deed, $0) } }
  static let faults = Deed.allCases.flatMap { deed in deed.faults.map { (deed, $0) } }

  /// After the crash: every volume opens with its key, and nothing else is there.
  private func expectRecovery(
    of deed: Deed, in directory: String, ended: Bool
  ) async throws {
    let sandbox = try await Sandbox(in: directory)
    let sentences = try await sandbox.manager.recover()
    #expect(sentences.count == (ended ? 0 : 1), "\(sentences)")
    let volumes = try await sandbox.manager.volumes(context: sandbox.context)
    #expect(volumes.count == (ended && !deed.isDeletion ? 1 : 0))
    try await sandbox.expectNoOrphans(files: deed.isAdoption ? ["theirs"] : [])
    if deed.isAdoption {
      #expect(Cryptsetup.opens("\(sandbox.home)/theirs", "correct horse"))
      if volumes.isEmpty {
        let dump = try Tool.check("/sbin/cryptsetup", ["luksDump", "\(sandbox.home)/theirs"])
        #expect(!dump.contains("Slot 1: ENABLED") && !dump.contains("1: luks2"))
      }
    }
    #expect(try await sandbox.manager.recover().isEmpty)
  }

  @Test(arguments: steps)
  func ofTheDaemon(deed: Deed, point: JournalPoint) async throws {
    let scratch = try ScratchDirectory()
    do {
      let sandbox = try await Sandbox(in: scratch.path)
      try await deed.prepare(sandbox, caller: sandbox.user)
      try await sandbox.close()
    }
    await #expect(processExitsWith: .signal(SIGKILL)) {
      [directory = scratch.path as String, deed = deed as Deed, point = point.rawValue as String] in
      let sandbox = try await Sandbox(
        in: directory,
        reached: {
          if $0.rawValue == point { kill(getpid(), SIGKILL) }
        })
      try await deed.perform(sandbox, caller: sandbox.user)
    }
    try await expectRecovery(of: deed, in: scratch.path, ended: point == .ended)
  }

  @Test(arguments: faults)
  func ofTheDaemonAndItsWorker(deed: Deed, fault: String) async throws {
    let scratch = try ScratchDirectory()
    do {
      let sandbox = try await Sandbox(in: scratch.path)
      try await deed.prepare(sandbox, caller: sandbox.root)
      try await sandbox.close()
    }
    await #expect(processExitsWith: .signal(SIGKILL)) {
      [directory = scratch.path as String, deed = deed as Deed, fault = fault as String] in
      // A worker without root's rights could not kill the daemon.
      let sandbox = try await Sandbox(in: directory, worker: .dying(at: "\(fault),parent"))
      try await deed.perform(sandbox, caller: sandbox.root)
    }
    try await expectRecovery(of: deed, in: scratch.path, ended: false)
  }

  @Test func takesAStoppedWorkerAlong() async throws {
    let scratch = try ScratchDirectory()
    await #expect(processExitsWith: .signal(SIGKILL)) { [directory = scratch.path as String] in
      let sandbox = try await Sandbox(in: directory, worker: .dying(at: "format,stall"))
      Task { try await Deed.createAtPath.perform(sandbox, caller: sandbox.user) }
      while try Tool.run("/bin/ls", ["-A", sandbox.home]).output.isEmpty { usleep(1000) }
      kill(getpid(), SIGKILL)
    }
    // It would hold the pool's lock.
    try await expectRecovery(of: .createAtPath, in: scratch.path, ended: false)
  }

  @Test func atRandomMoments() async throws {
    let seed = UInt64.random(in: .min ... .max)
    print("seed \(seed)")
    var random = SeededGenerator(state: seed)
    let scratch = try ScratchDirectory()
    for _ in 0..<8 {
      let delay = UInt32.random(in: 0...400_000, using: &random)
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [directory = scratch.path as String, delay = delay as UInt32] in
        let sandbox = try await Sandbox(in: directory)
        _ = try await sandbox.manager.recover()
        Task.detached {
          usleep(delay)
          kill(getpid(), SIGKILL)
        }
        for number in 0... {
          let name = "volume \(number % 3)"
          let image = number % 2 == 0 ? nil : "\(sandbox.home)/\(number % 3)"
          try? await sandbox.delete(name)
          _ = try await sandbox.create(name, size: 4096, image: image)
        }
      }
      let sandbox = try await Sandbox(in: scratch.path)
      _ = try await sandbox.manager.recover()
      try await sandbox.expectNoOrphans()
      try await sandbox.close()
    }
  }
}

/// SplitMix64 (Steele, Lea, Flood, 2014).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
