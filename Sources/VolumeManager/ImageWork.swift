import CLinux
import Glibc
import HostSystem
import LUKS
import SecretMemory
import VolumeAPI

/// What a worker does to images. Runs with the rights of the user that asked.
@LUKSActor
struct ImageWork {
  /// Whether anything on disk has been changed.
  private(set) var changed = false

  mutating func perform(
    _ work: WorkerRequest.Work, secrets: [SecretBox]
  ) throws(VolumeError) -> WorkerReply {
    switch work {
    case .survey(let path):
      return .surveyed(try survey(path))
    case .inspect(let path):
      return .inspected(try inspect(path))
    case .format(let request):
      return .ready(try format(request, passphrase: try secrets.required(0)))
    case .adopt(let request):
      return .ready(
        try adopt(
          request, existing: try secrets.required(0), managed: try secrets.required(1)))
    case .release(let request):
      return .removed(try release(request, managed: secrets.first))
    case .remove(let request):
      return .removed(try remove(request))
    }
  }

  // MARK: Making an image

  /// Finds out whether an image can be made at `path`: nothing is there, or a block device.
  private func survey(_ path: String) throws(VolumeError) -> ImageSurvey {
    let resolved = try Self.resolve(path)
    var status = stat()
    if lstat(resolved, &status) != 0 {
      guard errno == ENOENT else {
        throw VolumeError("cannot create the image", .current("lstat", path))
      }
      return ImageSurvey(path: resolved, isDevice: false, headerIDs: [])
    }
    guard status.st_mode & S_IFMT == S_IFBLK else {
      throw VolumeError(
        .alreadyExists, "cannot create the image: \(path) is there already",
        advice: "Choose another path, or adopt an existing LUKS image with: coffer volume import")
    }
    guard let device = try ImageFile.open(resolved) else { throw Self.missing(path) }
    return ImageSurvey(path: path, isDevice: true, headerIDs: try device.headerIDs())
  }

  private mutating func format(
    _ request: FormatRequest, passphrase: SecretBox
  ) throws(VolumeError) -> ImageFacts {
    switch request.place {
    case .pool(let path):
      return try format(try .inherited(path: path), request, passphrase)
    case .device(let path):
      guard let device = try ImageFile.open(try Self.resolve(path)), device.isDevice else {
        throw Self.missing(path)
      }
      try device.checkDeviceIsFree()
      try device.lock()
      try Self.checkDevice(device, request)
      return try format(device, request, passphrase)
    case .file(let path):
      return try formatFile(path, request, passphrase)
    }
  }

  private mutating func format(
    _ file: consuming ImageFile, _ request: FormatRequest, _ passphrase: SecretBox
  ) throws(VolumeError) -> ImageFacts {
    if !file.isDevice { try file.lock() }
    changed = true
    WorkerFault.reached("format")
    let opened = file.descriptorPath
    let image = try file.calling { () throws(LUKSError) in
      try LUKSImage.format(
        path: opened, uuid: request.volumeID.description, sectorSize: request.sectorSize,
        size: request.size, managedPassphrase: passphrase.bytes,
        keyID: request.keyID.description, volumeID: request.volumeID.description)
    }
    WorkerFault.reached("formatted")
    try file.synchronize()
    return ImageFacts(
      size: image.decryptedSize, sectorSize: image.geometry.sectorSize,
      luksVersion: image.geometry.version, keyslot: 0)
  }

  /// Makes the image under a name of its own and gives it its final name when it is complete: so what has
  /// the final name is never half-made, and what is half-made is never taken for a user's file.
  private mutating func formatFile(
    _ path: String, _ request: FormatRequest, _ passphrase: SecretBox
  ) throws(VolumeError) -> ImageFacts {
    let partial = Self.partialPath(path, request.volumeID)
    let file = try trying("cannot create the image \(path)") { () throws(SystemError) in
      try ImageFile.create(partial, showing: path)
    }
    do throws(VolumeError) {
      let facts = try format(file, request, passphrase)
      try trying("cannot create the image") { () throws(SystemError) in
        try Self.rename(partial, to: path)
        try Self.synchronizeDirectory(of: path)
      }
      WorkerFault.reached("named")
      return facts
    } catch {
      unlink(partial)
      throw error
    }
  }

  private static func checkDevice(
    _ device: borrowing ImageFile, _ request: FormatRequest
  ) throws(VolumeError) {
    let size = try device.size()
    let offset = LUKSImage.dataOffset
    let room = size > offset ? size - offset : 0
    // LUKS2 data on a device go to its end, so a smaller size would not be what was asked for.
    guard room > 0, request.size == nil || request.size == room else {
      throw VolumeError(
        .invalidRequest,
        "\(device.path) has room for a volume of \(room) bytes"
          + (request.size.map { ", not of \($0)" } ?? "")
          + ": it is \(size) bytes long, the header takes \(offset)",
        advice: "A volume takes all of a device: leave the size out, or choose another device.")
    }
    guard room % UInt64(request.sectorSize) == 0 else {
      throw VolumeError(
        .invalidRequest,
        "\(device.path) is \(size) bytes long, which is no multiple of the sector size of "
          + "\(request.sectorSize) bytes",
        advice: "Use a sector size of 512.")
    }
    guard !request.force else { return }
    guard try device.read(count: 1 << 20, at: 0).allSatisfy({ $0 == 0 }) else {
      throw VolumeError(
        .alreadyExists, "the block device \(device.path) is not empty",
        advice: "Use --force to overwrite what is on it.")
    }
  }

  // MARK: Adopting an image

  private func inspect(_ path: String) throws(VolumeError) -> ImageInspection {
    let resolved = try Self.resolve(path)
    guard let file = try ImageFile.open(resolved) else { throw Self.missing(path) }
    guard file.isDevice || file.status.st_nlink == 1 else {
      throw VolumeError(
        .invalidRequest,
        "cannot adopt \(path): the file has \(file.status.st_nlink) names (hard links), and a volume's "
          + "image has one",
        advice: "Remove the other names, or copy the file.")
    }
    let image = try file.luks(readOnly: true)
    return ImageInspection(
      path: file.isDevice ? path : resolved,
      device: file.identity.device,
      inode: file.identity.inode,
      keyslots: image.keyslots, tokenVolumeID: image.token?.volumeID,
      headerID: image.geometry.uuid.lowercased())
  }

  private mutating func adopt(
    _ request: AdoptRequest, existing: SecretBox, managed: SecretBox
  ) throws(VolumeError) -> ImageFacts {
    let found = request.found
    guard let file = try ImageFile.open(try Self.resolve(request.path)) else {
      throw Self.missing(request.path)
    }
    try file.checkDeviceIsFree()
    try file.lock()
    let image = try file.luks(readOnly: false)
    guard
      file.identity == (found.device, found.inode),
      image.keyslots == found.keyslots, image.token?.volumeID == found.tokenVolumeID
    else {
      throw VolumeError(
        .inUse, "\(request.path) was changed while it was being adopted", advice: "Try again.")
    }
    let added = try file.calling { () throws(LUKSError) in
      do throws(LUKSError) {
        _ = try image.unlock(passphrase: existing.bytes)
      } catch {
        guard error.code == .wrongKey else { throw error }
        throw LUKSError(
          .wrongKey, "the passphrase opens no keyslot of \(request.path)",
          advice: "Check the passphrase; a line feed at its end counts.")
      }
      changed = true
      let keyslot = try image.addManagedKeyslot(
        existing: existing.bytes, managedPassphrase: managed.bytes)
      WorkerFault.reached("keyslot")
      if image.geometry.version == 2 {
        try image.setToken(
          ManagedToken(
            keyslots: [keyslot], keyID: request.keyID.description,
            volumeID: request.volumeID.description))
      }
      _ = try image.unlock(passphrase: managed.bytes, keyslots: [keyslot])
      return keyslot
    }
    try file.synchronize()
    WorkerFault.reached("adopted")
    return ImageFacts(
      size: image.decryptedSize, sectorSize: image.geometry.sectorSize,
      luksVersion: image.geometry.version, keyslot: added)
  }

  /// Takes the managed keyslot and the token out of an adopted image. Returns false when there is no
  /// image, or nothing of this volume's in it.
  private mutating func release(
    _ request: ReleaseRequest, managed: SecretBox?
  ) throws(VolumeError) -> Bool {
    guard let file = try ImageFile.open(try Self.resolve(request.path)) else { return false }
    try file.lock()
    let image: LUKSImage
    do throws(VolumeError) {
      image = try file.luks(readOnly: false)
    } catch {
      if error.code == .damagedImage { return false }
      throw error
    }
    let own = try managedKeyslots(of: image, in: file, request, managed)
    let hasToken = image.token?.volumeID == request.volumeID.description
    guard !own.isEmpty || hasToken else { return false }
    guard own.isEmpty || !Set(image.keyslots).isSubset(of: own) else {
      throw VolumeError(
        .invalidRequest,
        "the volume's keyslot is the last one of \(request.path); without it the data would be lost",
        advice: "Add a keyslot of your own first: cryptsetup luksAddKey \(request.path). "
          + "Or, if the data may go, delete the file first.")
    }
    changed = true
    try file.calling { () throws(LUKSError) in
      for keyslot in own { try image.destroyKeyslot(keyslot) }
      WorkerFault.reached("released")
      if hasToken { try image.removeToken() }
    }
    try file.synchronize()
    return true
  }

  /// The keyslots that the volume's key opens and that are not the user's.
  private func managedKeyslots(
    of image: LUKSImage, in file: borrowing ImageFile, _ request: ReleaseRequest,
    _ managed: SecretBox?
  ) throws(VolumeError) -> [Int] {
    let used = image.keyslots
    if let token = image.token, token.volumeID == request.volumeID.description {
      return token.keyslots.filter(used.contains)
    }
    guard let managed else { return [] }
    let candidates =
      request.keyslot.map { [$0] } ?? used.filter { !request.userKeyslots.contains($0) }
    return try file.calling { () throws(LUKSError) in
      do throws(LUKSError) {
        return [try image.unlock(passphrase: managed.bytes, keyslots: candidates).keyslot]
      } catch {
        if error.code == .wrongKey { return [] }
        throw error
      }
    }
  }

  // MARK: Removing an image

  /// Wipes the header of an image that Coffer made, with all keyslots, and removes the file. Returns false
  /// when there is none: a file of that name that is not the volume's image stays as it is.
  private mutating func remove(_ request: RemoveRequest) throws(VolumeError) -> Bool {
    switch request.place {
    case .pool(let path):
      let file = try ImageFile.inherited(path: path)
      try wipe(file)
      return true
    case .device(let path):
      guard let device = try ImageFile.open(try Self.resolve(path)), device.isDevice,
        try device.isImage(of: request.volumeID)
      else { return false }
      try device.checkDeviceIsFree()
      try wipe(device)
      return true
    case .file(let path):
      return try removeFile(path, request.volumeID)
    }
  }

  private mutating func removeFile(
    _ path: String, _ volume: VolumeID
  ) throws(VolumeError) -> Bool {
    let partial = Self.partialPath(path, volume)
    let unfinished = try openRegular(partial)
    let isUnfinished = unfinished != nil
    if let unfinished { try wipeAndUnlink(unfinished, partial) }
    guard let file = try openRegular(path), try file.isImage(of: volume) else {
      return isUnfinished
    }
    try file.lock()
    // Under that name a later attempt finds it, wiped or not.
    try trying("cannot remove the image") { () throws(SystemError) in
      try Self.rename(path, to: partial)
      changed = true
      try Self.synchronizeDirectory(of: path)
    }
    try wipeAndUnlink(file, partial)
    return true
  }

  private mutating func wipeAndUnlink(
    _ file: borrowing ImageFile, _ path: String
  ) throws(VolumeError) {
    try wipe(file)
    try trying("cannot remove the image") { () throws(SystemError) in
      _ = try retrying("unlink", path) { unlink(path) }
      try Self.synchronizeDirectory(of: path)
    }
    WorkerFault.reached("removed")
  }

  /// Nil when there is no regular file of that name: a link is no image that Coffer made, so what it points
  /// to stays.
  private func openRegular(_ path: String) throws(VolumeError) -> ImageFile? {
    var status = stat()
    if lstat(path, &status) != 0 {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw VolumeError("cannot look for the image", .current("lstat", path))
    }
    guard status.st_mode & S_IFMT == S_IFREG, let file = try ImageFile.open(path), file.isRegular
    else { return nil }
    return file
  }

  private mutating func wipe(_ file: borrowing ImageFile) throws(VolumeError) {
    try file.lock()
    changed = true
    try file.wipe(count: LUKSImage.dataOffset)
    WorkerFault.reached("wiped")
  }

  // MARK: Paths

  /// Beside the image, so that it can be renamed; no user has a reason for such a name.
  private static func partialPath(_ path: String, _ volume: VolumeID) -> String {
    let slash = path.lastIndex(of: "/") ?? path.startIndex
    return "\(path[..<slash])/.coffer-\(volume)"
  }

  private static func resolve(_ path: String) throws(VolumeError) -> String {
    try trying("cannot use the path") { () throws(SystemError) in try PathName.resolved(path) }
  }

  private static func missing(_ path: String) -> VolumeError {
    VolumeError(.noSuchImage, "there is no image \(path)", advice: "Check the path.")
  }

  /// renameat2(2) that replaces nothing; with link(2) and unlink(2) where the file system cannot.
  private static func rename(_ old: String, to new: String) throws(SystemError) {
    if coffer_rename_exclusively(old, new) == 0 { return }
    let error = SystemError.current("rename", new)
    guard error.code == .invalidArgument || error.code == .noFunction else { throw error }
    _ = try retrying("link", new) { link(old, new) }
    unlink(old)
  }

  private static func synchronizeDirectory(of path: String) throws(SystemError) {
    let slash = path.lastIndex(of: "/") ?? path.startIndex
    let directory = try Descriptor.open("\(path[..<slash])/", O_RDONLY | O_DIRECTORY)
    _ = try retrying("fsync", path) { fsync(directory.rawValue) }
  }
}
