import Attachment
import Glibc
import HostSystem
import KeyManager
import LUKS
import SystemPackage
import VolumeAPI

/// An image that is open and locked, and what says which key it needs.
struct ResolvedVolume: ~Copyable {
  let image: Descriptor
  /// The image's path, absolute.
  let path: String
  let header: LUKSImage
  let volumeID: VolumeID?
  let keyID: KeyID

  consuming func takeImage() -> Descriptor { image }
}

/// Finds what a user means by a volume.
struct VolumeResolver {
  let request: AttachmentRequest
  let volumes: VolumeClient

  /// Opens and locks the image, reads its header and finds its key's ID.
  ///
  /// The image is locked before its header is read, so that nobody else changes it in between.
  func resolve() async throws(VolumeError) -> ResolvedVolume {
    if request.volumeIsPath, !isDirectory(request.volume) {
      let path: String
      do {
        path = try PathName.resolved(request.volume)
      } catch {
        throw VolumeError(.noSuchImage, "\(error)")
      }
      let image = try open(path)
      let header = try await readHeader(image, path: path)
      let token = await header.token
      let known = try await catalogEntry(of: path, token: token)
      try check(header, against: known, path: path)
      return ResolvedVolume(
        image: image, path: path, header: header,
        volumeID: known?.id ?? token.flatMap { VolumeID($0.volumeID) },
        keyID: try keyID(token: token, known: known, path: path))
    }
    let known = try await namedVolume()
    let image = try open(known.image)
    let header = try await readHeader(image, path: known.image)
    let token = await header.token
    if let token, token.volumeID != known.id.description {
      throw VolumeError(
        .damagedImage,
        "\(known.image) is not the image of volume \(known.name): its header names volume "
          + token.volumeID,
        advice: "The file was replaced. Put the right image back, or attach this one by its path.")
    }
    try check(header, against: known, path: known.image)
    return ResolvedVolume(
      image: image, path: known.image, header: header, volumeID: known.id,
      keyID: try keyID(token: token, known: known, path: known.image))
  }

  /// The volume that the user named.
  ///
  /// mount(8) makes a path of a name when there is such a name in the current directory, be it a directory;
  /// as an image that makes no sense, so it is taken for the name that it was.
  private func namedVolume() async throws(VolumeError) -> VolumeDocument {
    guard request.volumeIsPath, let name = request.volume.split(separator: "/").last else {
      return try await volumes.volume(request.volume)
    }
    do {
      return try await volumes.volume(String(name))
    } catch {
      guard error.code == .noSuchVolume else { throw error }
      throw VolumeError(.noSuchImage, "\(request.volume) is a directory, not an image")
    }
  }

  private func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// The header's word counts before the catalog's: it is written first when a volume gets a new key.
  private func keyID(
    token: ManagedToken?, known: VolumeDocument?, path: String
  ) throws(VolumeError) -> KeyID {
    if let given = request.keyID { return given }
    if let token {
      if let id = KeyID(token.keyID) { return id }
      throw VolumeError(
        .damagedImage, "the token in \(path) names '\(token.keyID)', which is not a key ID",
        advice: "Name the key with --key-id.")
    }
    if let known { return known.keyID }
    throw VolumeError(
      .noSuchKey, "nothing says which key opens \(path): its header has no token of Coffer's",
      advice: "Adopt it with coffer volume import, or name the key with --key-id.")
  }

  /// What the catalog knows of an image that was named by its path. LUKS1 has no tokens, so for it the
  /// catalog remembers.
  private func catalogEntry(
    of path: String, token: ManagedToken?
  ) async throws(VolumeError) -> VolumeDocument? {
    try await volumes.volumes().first { volume in
      if let token { volume.id.description == token.volumeID } else { volume.image == path }
    }
  }

  /// A header mostly says "to the end of the file", so only the catalog can tell that the end is missing.
  private func check(
    _ header: LUKSImage, against known: VolumeDocument?, path: String
  ) throws(VolumeError) {
    guard let known, header.decryptedSize < known.size else { return }
    throw VolumeError(
      .damagedImage,
      "\(path) is truncated: \(known.size - header.decryptedSize) of \(known.size) bytes are missing",
      advice:
        "Restore the image from a backup. To read what is left, make the file as long as it was "
        + "(truncate -s \(header.geometry.dataOffset + known.size)) and attach it with --read-only."
    )
  }

  private func open(_ path: String) throws(VolumeError) -> Descriptor {
    do {
      let image = try Descriptor.open(path, request.readOnly ? O_RDONLY : O_RDWR)
      let kind = try image.status().st_mode & S_IFMT
      guard kind == S_IFREG || kind == S_IFBLK else {
        throw VolumeError(
          .noSuchImage, "\(path) is neither a file nor a block device")
      }
      guard try ImageLock.tryLock(image, exclusive: !request.readOnly) else {
        throw VolumeError(
          .inUse, "\(path) is in use by another attachment",
          advice: "coffer attachment list shows yours. Several may attach it only with --read-only."
        )
      }
      return image
    } catch let error as VolumeError {
      throw error
    } catch let error as SystemError {
      throw Self.cannotOpen(path, error)
    } catch {
      throw VolumeError(.internalFailure, "\(error)")
    }
  }

  private static func cannotOpen(_ path: String, _ error: SystemError) -> VolumeError {
    switch error.code {
    case .noSuchFileOrDirectory, .notDirectory:
      VolumeError(.noSuchImage, "no image at \(path): \(error.reason)")
    case .permissionDenied, .notPermitted:
      VolumeError(
        .notAuthorized, "cannot open \(path): \(error.reason)",
        advice: "The image may be read-only for you; then attach with --read-only.")
    case .readOnlyFileSystem:
      VolumeError(
        .notAuthorized, "cannot open \(path) for writing: \(error.reason)",
        advice: "Attach it with --read-only.")
    case .isDirectory:
      VolumeError(.noSuchImage, "\(path) is a directory, not an image")
    default:
      VolumeError(.inputOutput, "cannot open \(path): \(error.reason)")
    }
  }

  private func readHeader(
    _ image: borrowing Descriptor, path: String
  ) async throws(VolumeError) -> LUKSImage {
    do {
      return try await LUKSImage.open(path: path, readOnly: request.readOnly)
    } catch {
      throw VolumeError(error)
    }
  }
}
