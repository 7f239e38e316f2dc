import KeyManager
public import VolumeAPI

/// The options of mount(8) and fstab(5) for a Coffer volume: `-o ro,fs=ext4,nofail`.
public enum MountOptions {
  /// Sets in `request` what the comma-separated `text` says.
  ///
  /// - Parameter sloppy: pass over what nobody knows (`-s`).
  public static func apply(
    _ text: String, to request: inout AttachmentRequest, sloppy: Bool
  ) throws(VolumeError) {
    var inner = request.fileSystem?.options ?? []
    var wantsInner = request.fileSystem != nil
    var type = request.fileSystem?.type
    for option in text.split(separator: ",").map(String.init) {
      let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts[0])
      let value = parts.count == 2 ? String(parts[1]) : nil
      switch (name, value) {
      case ("ro", nil): request.readOnly = true
      case ("rw", nil): request.readOnly = false
      case ("nosuid", nil): request.noSetUserID = true
      case ("suid", nil): request.noSetUserID = false
      case ("nodev", nil): request.noDevices = true
      case ("dev", nil): request.noDevices = false
      case ("noexec", nil): request.noExecution = true
      case ("exec", nil): request.noExecution = false
      case ("allow_other", nil): request.allowOther = true
      case ("uid", let value?): request.uid = try number(value, option)
      case ("gid", let value?): request.gid = try number(value, option)
      case ("fs", let value):
        wantsInner = true
        type = value.flatMap { $0.isEmpty || $0 == "auto" ? nil : $0 }
      case ("key-id", let value?):
        guard let id = KeyID(value) else { throw invalid(option, "that is not a key ID") }
        request.keyID = id
      case ("transport", let value?): request.transport = try choice(value, option)
      case ("cache", let value?): request.cache = try choice(value, option)
      case ("backing-cache", let value?): request.backingCache = try choice(value, option)
      case ("socket", let value?): request.socket = value
      case ("project", let value?): request.project = value
      case _ where passedToFileSystem.contains(name) && value == nil: inner.append(option)
      case _ where meantForOthers(name): break
      case _ where sloppy: break
      default:
        throw invalid(option, "mount.coffer does not know it")
      }
    }
    request.fileSystem = wantsInner ? InnerFileSystem(type: type, options: inner) : nil
  }

  /// Options of every file system, which mount(8) hands over; they mean something to the one inside.
  private static let passedToFileSystem: Set<String> = [
    "atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime",
    "nostrictatime", "lazytime", "nolazytime", "sync", "async", "dirsync", "iversion", "noiversion",
    "mand", "nomand", "silent", "loud", "nosymfollow", "symfollow",
  ]

  /// Options for mount(8), fstab(5), systemd or nobody: accepted and without effect here.
  private static func meantForOthers(_ name: String) -> Bool {
    name.hasPrefix("x-") || name.hasPrefix("X-")
      || [
        "defaults", "auto", "noauto", "user", "nouser", "users", "owner", "noowner", "group",
        "nogroup",
        "nofail", "_netdev", "comment", "loop", "helper", "uhelper", "context",
      ].contains(name)
  }

  private static func number(_ text: String, _ option: String) throws(VolumeError) -> UInt32 {
    guard let number = UInt32(text) else { throw invalid(option, "that is not a number") }
    return number
  }

  private static func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ text: String, _ option: String
  ) throws(VolumeError) -> Choice {
    guard let choice = Choice(rawValue: text) else {
      let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
      throw invalid(option, "it is one of \(known)")
    }
    return choice
  }

  private static func invalid(_ option: String, _ reason: String) -> VolumeError {
    VolumeError(
      .invalidRequest, "mount option '\(option)': \(reason)",
      advice: "Coffer's own are ro, nosuid, nodev, noexec, allow_other, uid=, gid=, fs[=TYPE], "
        + "key-id=, transport=, cache=, backing-cache=, socket= and project=; "
        + "-s passes over unknown ones.")
  }
}
