import Attachment
import BlockImage
import Glibc
import HostSystem
import ImageMount
import KeyManager
import LUKS
import SecretMemory
import SectorCipher
import VolumeAPI

/// A volume that this process has mounted, from the key's ID to the registration with the service.
struct LiveAttachment {
  private(set) var status: AttachmentStatus
  private let mount: ImageMount
  private let control: ControlSocket
  private let service: Service

  /// Attaches what `request` says. A failure leaves no mount and no lock.
  ///
  /// - Parameters:
  ///   - notice: takes a line of text when something is not as it should be while serving.
  ///   - isUnwanted: asked before the image is mounted, since waiting for the key may have taken long.
  static func open(
    _ request: AttachmentRequest, notice: @escaping @Sendable (String) -> Void,
    isUnwanted: () -> Bool
  ) async throws(VolumeError) -> LiveAttachment {
    chdir("/")
    if request.servedDirectory == nil { try MountpointCheck.requireFree(request.mountpoint) }
    let service = try await Service.connect(socket: request.socket, project: request.project)
    let volume = try await VolumeResolver(request: request, volumes: service.volumes).resolve()
    let cipher = try await SectorCipher(unlocking: volume, with: service)
    let header = volume.header
    let keyID = volume.keyID
    let volumeID = volume.volumeID
    let path = volume.path
    guard
      let geometry = BlockGeometry(
        dataOffset: header.geometry.dataOffset, size: header.decryptedSize,
        sectorSize: header.geometry.sectorSize, ivTweak: header.geometry.ivTweak)
    else {
      throw VolumeError(.unsupportedImage, "the header of \(path) describes an impossible segment")
    }
    let image: BlockImage
    let mount: ImageMount
    do {
      image = try BlockImage.open(
        descriptor: volume.takeImage(), geometry: geometry, cipher: cipher,
        readOnly: request.readOnly,
        BackingOptions(bypassesCache: request.backingCache == .none))
    } catch {
      throw VolumeError(
        .invalidRequest, "\(path) cannot be used without the page cache: \(error.reason)",
        advice: "Leave --backing-cache none out.")
    }
    do {
      mount = try ImageMount.mount(image, ImageMountOptions(request, notice: notice))
    } catch {
      throw VolumeError(error)
    }
    let status = AttachmentStatus(
      id: .random(), request: request, volumeID: volumeID, keyID: keyID, image: path,
      size: geometry.size, sectorSize: geometry.sectorSize, cipherKernel: cipher.kernel.rawValue,
      transport: mount.transport.rawValue, notices: header.notices)
    do {
      return try await announce(mount, status, to: service)
    } catch {
      try? mount.unmount()
      throw error
    }
  }

  /// Makes the mount known: to its user and root through the control socket, to the service by registration.
  private static func announce(
    _ mount: ImageMount, _ status: AttachmentStatus, to service: Service
  ) async throws(VolumeError) -> LiveAttachment {
    let control: ControlSocket
    do {
      guard let entry = try MountTable.entry(at: mount.mountpoint) else {
        throw SystemError(.noSuchFileOrDirectory, call: "mountinfo", subject: mount.mountpoint)
      }
      control = try ControlSocket.open(
        device: entry.device, directory: try AttachmentDirectory.own())
    } catch {
      throw error as? VolumeError ?? VolumeError(.inputOutput, "no control socket: \(error)")
    }
    var status = status
    do {
      status.createdAt = try await service.volumes.register(AttachmentDocument(status)).createdAt
    } catch {
      control.close()
      throw error
    }
    control.serve(status: status)
    return LiveAttachment(status: status, mount: mount, control: control, service: service)
  }

  /// Takes the mount away again; nobody has used it.
  func abandon() async {
    try? mount.unmount()
    control.close()
    try? await service.volumes.unregister(status.id)
  }

  /// Serves until the file system is unmounted; then says so.
  func serve() async throws(VolumeError) {
    defer { control.close() }
    do {
      try mount.serve()
    } catch {
      try? await service.volumes.unregister(status.id)
      throw VolumeError(error)
    }
    // The service also notices by itself when this process is gone.
    try? await service.volumes.unregister(status.id)
  }
}

extension SectorCipher {
  /// Fetches the key by its ID, unlocks the volume key and keeps neither.
  fileprivate convenience init(
    unlocking volume: borrowing ResolvedVolume, with service: Service
  ) async throws(VolumeError) {
    let keyID = volume.keyID
    let header = volume.header
    let path = volume.path
    let volumeKey: VolumeKey
    do {
      let key = try await service.keys.get(keyID, context: service.context)
      let passphrase = try ManagedPassphrase.of(key: key.value)
      volumeKey = try await header.unlock(passphrase: passphrase)
    } catch let error as KeyManagerError where error.code == .notFound {
      throw VolumeError(
        .noSuchKey, "the key manager has no key \(keyID), which opens \(path)",
        advice: "It was deleted, or belongs to another user, or to another key manager. "
          + "--key-id names a different one.")
    } catch let error as KeyManagerError {
      throw VolumeError(error)
    } catch let error as LUKSError where error.code == .wrongKey {
      throw VolumeError(
        .wrongKey, "key \(keyID) does not open \(path)",
        advice: "Name the right one with --key-id, if the header's token does not.")
    } catch let error as LUKSError {
      throw VolumeError(error)
    } catch {
      throw VolumeError(.inputOutput, "\(error)")
    }
    do {
      try self.init(key: volumeKey.bytes, sectorSize: header.geometry.sectorSize)
      Leftovers.wipe()
    } catch {
      throw VolumeError(.unsupportedImage, "cannot decrypt \(path): \(error)")
    }
  }
}

extension ImageMountOptions {
  fileprivate init(_ request: AttachmentRequest, notice: @escaping @Sendable (String) -> Void) {
    self.init(
      mountpoint: request.servedDirectory ?? request.mountpoint, sourceName: request.volume)
    readOnly = request.readOnly
    allowOther = request.allowOther
    nosuid = true
    nodev = true
    noexec = request.noExecution
    uid = request.uid
    gid = request.gid
    transport =
      switch request.transport {
      case .auto: .auto
      case .classic: .classic
      case .uring: .uring
      }
    cache =
      switch request.cache {
      case .auto: .auto
      case .none: .none
      case .writeback: .writeback
      }
    self.notice = notice
  }
}

extension AttachmentDocument {
  fileprivate init(_ status: AttachmentStatus) {
    self.init(
      id: status.id, volumeID: status.volumeID, keyID: status.keyID, image: status.image,
      mountpoint: status.mountpoint, pid: status.pid, uid: status.uid, readOnly: status.readOnly,
      createdAt: status.createdAt)
  }
}
