import Glibc
import HostSystem
public import KeyManager
public import VolumeAPI

/// What to attach, where and how. Travels to the serving process; holds no secret.
public struct AttachmentRequest: Sendable, Codable, Equatable {
  /// A name or an ID of the catalog, or the path of an image: what holds a `/` is a path.
  public var volume: String
  /// Where the user wants it, an absolute path.
  public var mountpoint: String
  /// Where the image is served when that is not the mountpoint: below a file system mounted there.
  package var servedDirectory: String?
  /// Overrides the key that the header's token or the catalog names.
  public var keyID: KeyID?
  /// The service's socket, when the user named one.
  public var socket: String?
  /// The project to act for; only root and the service's user may.
  public var project: String?
  public var readOnly = false
  /// Let other users reach the mount, as the file's mode permits.
  public var allowOther = false
  public var noSetUserID = false
  public var noDevices = false
  public var noExecution = false
  /// The owner of the decrypted image; the serving process's own when nil.
  public var uid: UInt32?
  public var gid: UInt32?
  /// Mount the file system inside instead of showing the image.
  public var fileSystem: InnerFileSystem?
  public var transport = Transport.auto
  public var cache = Cache.auto
  public var backingCache = BackingCache.auto

  /// How requests travel from the kernel to the serving process.
  public enum Transport: String, Sendable, Codable, CaseIterable {
    /// io_uring where the kernel offers it, otherwise classic.
    case auto
    /// /dev/fuse.
    case classic
    /// FUSE over io_uring, or an error.
    case uring
  }

  /// What the kernel's page cache does with the decrypted image.
  public enum Cache: String, Sendable, Codable, CaseIterable {
    /// Reads are cached, writes go to the image at once.
    case auto
    case none
    /// Writes too wait in the cache, for the kernel or fsync(2).
    case writeback
  }

  /// What the kernel's page cache does with the encrypted image.
  public enum BackingCache: String, Sendable, Codable, CaseIterable {
    /// Reads and writes are cached.
    case auto
    /// O_DIRECT.
    case none
  }

  /// - Parameters:
  ///   - volume: as the user gave it; a path may be relative.
  ///   - mountpoint: likewise.
  public init(volume: String, mountpoint: String) {
    // The serving process works elsewhere.
    self.volume = volume.contains("/") ? PathName.absolute(volume) : volume
    self.mountpoint = (try? PathName.resolved(mountpoint)) ?? PathName.absolute(mountpoint)
  }

  /// Whether `volume` is the path of an image.
  package var volumeIsPath: Bool { volume.contains("/") }
}

/// How to mount the file system inside a volume.
public struct InnerFileSystem: Sendable, Codable, Equatable {
  /// The type, `ext4`; mount(8) finds it out when nil.
  public var type: String?
  /// Options of mount(8) for it, such as `noatime`.
  public var options: [String]

  public init(type: String? = nil, options: [String] = []) {
    self.type = type
    self.options = options
  }
}

/// An attachment as its serving process describes itself.
public struct AttachmentStatus: Sendable, Codable, Equatable {
  public var id: AttachmentID
  /// What the user asked to attach.
  public var volume: String
  /// Nil for an image that the catalog does not know.
  public var volumeID: VolumeID?
  public var keyID: KeyID
  public var image: String
  public var mountpoint: String
  public var pid: Int32
  public var uid: UInt32
  public var readOnly: Bool
  public var createdAt: String
  /// The decrypted size in bytes.
  public var size: UInt64
  public var sectorSize: Int
  /// Which implementation of AES-XTS runs.
  public var cipherKernel: String
  /// How requests travel: `classic` is /dev/fuse, `uring` is FUSE over io_uring.
  public var transport: String
  /// What the user should know, for example that a damaged header copy was healed.
  public var notices: [String]

  enum CodingKeys: String, CodingKey {
    case id, volume
    case volumeID = "volume_id"
    case keyID = "key_id"
    case image, mountpoint, pid, uid
    case readOnly = "read_only"
    case createdAt = "created_at"
    case size
    case sectorSize = "sector_size"
    case cipherKernel = "cipher_kernel"
    case transport, notices
  }

  package init(
    id: AttachmentID, request: AttachmentRequest, volumeID: VolumeID?, keyID: KeyID, image: String,
    size: UInt64, sectorSize: Int, cipherKernel: String, transport: String, notices: [String]
  ) {
    self.id = id
    volume = request.volume
    self.volumeID = volumeID
    self.keyID = keyID
    self.image = image
    mountpoint = request.mountpoint
    pid = getpid()
    uid = geteuid()
    readOnly = request.readOnly
    createdAt = "\(Timestamp.now())Z"
    self.size = size
    self.sectorSize = sectorSize
    self.cipherKernel = cipherKernel
    self.transport = transport
    self.notices = notices
  }
}
