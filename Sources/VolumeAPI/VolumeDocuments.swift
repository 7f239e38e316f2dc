public import KeyManager

/// The identifier of a volume.
public typealias VolumeID = ID<VolumeDocument>

/// The identifier of an attachment.
public typealias AttachmentID = ID<AttachmentDocument>

/// Where a volume is in its life.
public enum VolumeState: String, Sendable, Codable {
  case creating, available
  case inUse = "in-use"
  case awaitingTransfer = "awaiting-transfer"
  case rekeying, deleting, error
}

/// A volume, as `GET /coffer/v1/volumes/{id}` answers and `--json` prints.
public struct VolumeDocument: Sendable, Codable, Equatable {
  public var id: VolumeID
  public var name: String
  /// The key of the managed keyslot.
  public var keyID: KeyID
  /// The decrypted size in bytes.
  public var size: UInt64
  /// In bytes: 512 to 4096.
  public var sectorSize: Int
  public var state: VolumeState
  /// The absolute path of the LUKS image.
  public var image: String
  /// Whether the image lies in the pool of `cofferd`.
  public var inPool: Bool
  /// 1 or 2.
  public var luksVersion: Int
  public var projectID: String
  /// ISO 8601, UTC.
  public var createdAt: String
  /// Where it is attached; nil while it is not.
  public var mountpoint: String?
  /// The process that serves it; nil while it is not attached.
  public var pid: Int32?

  enum CodingKeys: String, CodingKey {
    case id, name
    case keyID = "key_id"
    case size
    case sectorSize = "sector_size"
    case state, image
    case inPool = "in_pool"
    case luksVersion = "luks_version"
    case projectID = "project_id"
    case createdAt = "created_at"
    case mountpoint, pid
  }

  public init(
    id: VolumeID, name: String, keyID: KeyID, size: UInt64, sectorSize: Int, state: VolumeState,
    image: String, inPool: Bool, luksVersion: Int, projectID: String, createdAt: String,
    mountpoint: String? = nil, pid: Int32? = nil
  ) {
    self.id = id
    self.name = name
    self.keyID = keyID
    self.size = size
    self.sectorSize = sectorSize
    self.state = state
    self.image = image
    self.inPool = inPool
    self.luksVersion = luksVersion
    self.projectID = projectID
    self.createdAt = createdAt
    self.mountpoint = mountpoint
    self.pid = pid
  }
}

/// The body of `POST /coffer/v1/volumes`.
public struct VolumeCreation: Sendable, Codable, Equatable {
  /// 1 to 255 characters, without `/` and control characters, unique in the project.
  public var name: String
  /// The decrypted size in bytes, a multiple of the sector size. Nil only for a block device: all of it.
  public var size: UInt64?
  /// 512 or 4096 (the default).
  public var sectorSize: Int?
  /// One of the caller's keys, to be cloned; a fresh key otherwise.
  public var keyID: KeyID?
  /// Where to make the image: an absolute path, a new file or a block device; the pool otherwise.
  public var image: String?
  /// Overwrite a block device that is not empty.
  public var force: Bool?

  enum CodingKeys: String, CodingKey {
    case name, size
    case sectorSize = "sector_size"
    case keyID = "key_id"
    case image, force
  }

  public init(
    name: String, size: UInt64?, sectorSize: Int? = nil, keyID: KeyID? = nil, image: String? = nil,
    force: Bool? = nil
  ) {
    self.name = name
    self.size = size
    self.sectorSize = sectorSize
    self.keyID = keyID
    self.image = image
    self.force = force
  }
}

/// What the query string of `POST /coffer/v1/volumes/import` says; the body is an existing passphrase
/// of the image, as raw bytes.
public struct VolumeImport: Sendable, Equatable {
  public var name: String
  /// The absolute path of a LUKS1 or LUKS2 image.
  public var image: String
  /// One of the caller's keys, to be cloned; a fresh key otherwise.
  public var keyID: KeyID?

  public init(name: String, image: String, keyID: KeyID? = nil) {
    self.name = name
    self.image = image
    self.keyID = keyID
  }
}

/// A process that serves a volume, as it registers itself and as `GET /coffer/v1/attachments` answers.
public struct AttachmentDocument: Sendable, Codable, Equatable {
  public var id: AttachmentID
  /// Nil for an image that the catalog does not know.
  public var volumeID: VolumeID?
  public var keyID: KeyID
  public var image: String
  public var mountpoint: String
  /// The daemon fills pid and uid from the socket's peer credentials.
  public var pid: Int32
  public var uid: UInt32
  public var readOnly: Bool
  public var createdAt: String

  enum CodingKeys: String, CodingKey {
    case id
    case volumeID = "volume_id"
    case keyID = "key_id"
    case image, mountpoint, pid, uid
    case readOnly = "read_only"
    case createdAt = "created_at"
  }

  public init(
    id: AttachmentID, volumeID: VolumeID?, keyID: KeyID, image: String, mountpoint: String,
    pid: Int32, uid: UInt32, readOnly: Bool, createdAt: String
  ) {
    self.id = id
    self.volumeID = volumeID
    self.keyID = keyID
    self.image = image
    self.mountpoint = mountpoint
    self.pid = pid
    self.uid = uid
    self.readOnly = readOnly
    self.createdAt = createdAt
  }
}

/// `GET /coffer/v1/volumes`: the caller's volumes.
public struct VolumeList: Sendable, Codable, Equatable {
  public var volumes: [VolumeDocument]

  public init(volumes: [VolumeDocument]) {
    self.volumes = volumes
  }
}

/// `GET /coffer/v1/attachments`: the caller's attachments.
public struct AttachmentList: Sendable, Codable, Equatable {
  public var attachments: [AttachmentDocument]

  public init(attachments: [AttachmentDocument]) {
    self.attachments = attachments
  }
}

/// `GET /coffer/v1/status`.
public struct ServiceStatus: Sendable, Codable, Equatable {
  public var version: String
  public var pid: Int32
  public var state: String
  public var pool: String

  public init(version: String, pid: Int32, state: String, pool: String) {
    self.version = version
    self.pid = pid
    self.state = state
    self.pool = pool
  }
}

/// What every error answer of the service holds, Barbican's form with a word for programs.
public struct ErrorDocument: Sendable, Codable, Equatable {
  /// The HTTP status.
  public var code: Int
  public var title: String
  public var description: String
  /// A `VolumeErrorCode`, in answers under `/coffer/v1`.
  public var reason: String?
  /// What to do next, where there is something to say.
  public var advice: String?

  public init(
    code: Int, title: String, description: String, reason: String? = nil, advice: String? = nil
  ) {
    self.code = code
    self.title = title
    self.description = description
    self.reason = reason
    self.advice = advice
  }
}
