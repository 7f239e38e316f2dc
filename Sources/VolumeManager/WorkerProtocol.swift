import KeyManager
import VolumeAPI

/// What a worker is asked to do, one JSON line on its standard input; the secrets follow as raw bytes,
/// each after its length in four bytes, most significant first.
struct WorkerRequest: Codable, Sendable {
  /// Whose rights the work is done with.
  var user: WorkerUser
  /// The daemon's pid.
  var parent: Int32
  var work: Work
  /// How many secrets follow.
  var secrets: Int

  /// The length of the line, in bytes.
  static let longest = 64 << 10

  enum Work: Codable, Sendable {
    /// Where an image can be made: see `ImageWork.survey`.
    case survey(path: String)
    /// What an image made elsewhere is.
    case inspect(path: String)
    /// Makes an image. Secrets: the managed passphrase.
    case format(FormatRequest)
    /// Adds the managed keyslot and the token. Secrets: the user's passphrase, the managed passphrase.
    case adopt(AdoptRequest)
    /// Takes them away again. Secrets: the managed passphrase, if the key still exists.
    case release(ReleaseRequest)
    /// Makes an image that Coffer made unreadable for good, and removes it.
    case remove(RemoveRequest)
  }
}

/// The user whose rights a worker takes on.
struct WorkerUser: Codable, Sendable, Equatable {
  var uid: UInt32
  var gid: UInt32
}

/// An image as a worker reaches it.
enum ImagePlace: Codable, Sendable, Equatable {
  /// The daemon opened it in its pool: `WorkerDescriptor.image`. The path is for messages.
  case pool(path: String)
  /// A file that Coffer made or makes.
  case file(path: String)
  case device(path: String)

  var path: String {
    switch self {
    case .pool(let path), .file(let path), .device(let path): path
    }
  }
}

/// The numbers of the descriptors that a worker inherits besides its standard ones.
enum WorkerDescriptor {
  /// The catalog's lock, held as long as a worker lives.
  static let lock: Int32 = 3
  /// An open image of the pool, in requests about one.
  static let image: Int32 = 4
}

struct FormatRequest: Codable, Sendable {
  var place: ImagePlace
  var volumeID: VolumeID
  var keyID: KeyID
  /// In bytes; nil for a whole block device.
  var size: UInt64?
  var sectorSize: Int
  /// Overwrite a block device that is not empty.
  var force: Bool
}

struct AdoptRequest: Codable, Sendable {
  var path: String
  /// What was found at `path` by `inspect`.
  var found: ImageInspection
  var volumeID: VolumeID
  var keyID: KeyID
}

struct ReleaseRequest: Codable, Sendable {
  var path: String
  var volumeID: VolumeID
  /// Keyslots that are the user's for certain.
  var userKeyslots: [Int]
  /// The managed keyslot, where it is known.
  var keyslot: Int?
}

struct RemoveRequest: Codable, Sendable {
  var place: ImagePlace
  var volumeID: VolumeID
}

/// A worker's answer, one JSON line on its standard output.
enum WorkerReply: Codable, Sendable {
  case surveyed(ImageSurvey)
  case inspected(ImageInspection)
  /// `format` and `adopt`.
  case ready(ImageFacts)
  /// `release` and `remove`; false when there was nothing that is the volume's.
  case removed(Bool)
  /// `changed`: whether anything was written before it failed.
  case failed(VolumeError, changed: Bool)
}

/// A place for a new image.
struct ImageSurvey: Codable, Sendable {
  /// A device's path as it was given, since `/dev/disk/by-id` outlives a restart; a file's without links.
  var path: String
  var isDevice: Bool
  /// The UUIDs of LUKS headers that are there already.
  var headerIDs: [String]
}

/// An image that was made elsewhere.
struct ImageInspection: Codable, Sendable {
  var path: String
  /// Which file it is: st_dev and st_ino, or 0 and st_rdev for a block device.
  var device: UInt64
  var inode: UInt64
  /// The keyslots that are in use.
  var keyslots: [Int]
  /// The volume that a token names.
  var tokenVolumeID: String?
  var headerID: String
}

/// What the catalog keeps of an image.
struct ImageFacts: Codable, Sendable {
  /// Of the decrypted image, in bytes.
  var size: UInt64
  var sectorSize: Int
  var luksVersion: Int
  /// The managed keyslot.
  var keyslot: Int
}
