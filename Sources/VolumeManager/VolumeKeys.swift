import GRDB
import KeyManager
import LUKS
import SecretMemory
import VolumeAPI

/// The keys of volumes.
extension VolumeManager {
  /// What the key of a volume is called, so that one that was made just before a crash is found again.
  static func keyName(_ volume: VolumeID) -> String { "volume \(volume)" }

  /// Makes the volume's key, or clones `given`, and records it.
  ///
  /// - Returns: the volume with its key's ID, and the managed keyslot's passphrase.
  func withNewKey(
    _ row: VolumeRow, from given: KeyID?
  ) async throws(VolumeError) -> (VolumeRow, SecretBox) {
    let name = Self.keyName(row.id)
    var row = row
    do throws(KeyManagerError) {
      if let given {
        row.keyID = try await keys.copy(given, name: name, context: row.owner)
      } else {
        row.keyID = try await keys.createKey(
          KeyAttributes(name: name, algorithm: "aes", bitLength: 256), context: row.owner)
      }
    } catch {
      throw VolumeError("cannot make the volume's key", error)
    }
    reached(.keyMade)
    if let key = row.keyID {
      try record(key: key, of: row.id)
      try await registerVolume(row.id, of: key, row.owner)
    }
    guard let passphrase = try await passphrase(of: row) else {
      throw VolumeError(.noSuchKey, "the volume's key was deleted while the volume was being made")
    }
    return (row, passphrase)
  }

  /// The passphrase of the volume's managed keyslot; nil when its key is no more.
  func passphrase(of row: VolumeRow) async throws(VolumeError) -> SecretBox? {
    guard let id = row.keyID else { return nil }
    do {
      let key = try await keys.get(id, context: row.owner)
      return SecretBox(try ManagedPassphrase.of(key: key.value))
    } catch let error as KeyManagerError {
      if error.code == .notFound { return nil }
      throw VolumeError("cannot get the volume's key", error)
    } catch {
      throw VolumeError(.inputOutput, "cannot take over the volume's key: \(error)")
    }
  }

  /// Deletes the volume's key, and one that a crash kept from being recorded.
  func deleteKeys(of row: VolumeRow) async throws(VolumeError) {
    do throws(KeyManagerError) {
      if let key = row.keyID { try await deleteKey(key, row.owner) }
      if row.state != .deleting {
        let query = KeyQuery(limit: 100, name: Self.keyName(row.id))
        for record in try await keys.list(query, context: row.owner).records {
          try await deleteKey(record.id, row.owner)
        }
      }
    } catch {
      throw VolumeError("cannot delete the key of volume \(row.id)", error)
    }
  }

  /// Keeps the key from being deleted while the volume needs it.
  private func registerVolume(
    _ volume: VolumeID, of key: KeyID, _ context: RequestContext
  ) async throws(VolumeError) {
    do throws(KeyManagerError) {
      try await keys.addConsumer(.volume(volume.description), to: key, context: context)
    } catch {
      throw VolumeError("cannot note that the volume uses its key", error)
    }
  }

  private func deleteKey(_ key: KeyID, _ context: RequestContext) async throws(KeyManagerError) {
    do throws(KeyManagerError) {
      try await keys.delete(key, force: true, context: context)
    } catch {
      if error.code != .notFound { throw error }
    }
  }

  /// Throws unless `context` may make volumes, and `given`, if there is one, can be a volume's key.
  func checkRight(
    toCreateFrom given: KeyID?, _ context: RequestContext
  ) async throws(VolumeError) {
    guard !context.roles.isDisjoint(with: [.creator, .admin]) else {
      throw VolumeError(
        .notAuthorized, "\(context.user) may not make volumes in \(context.project)")
    }
    guard let given else { return }
    let fault: String?
    do throws(KeyManagerError) {
      let record = try await keys.record(of: given, context: context)
      if let inAttributes = VolumeRules.fault(of: record) {
        fault = inAttributes
      } else {
        let key = try await keys.get(given, context: context)
        fault = VolumeRules.fault(ofKeyLength: key.value.count)
      }
    } catch {
      throw VolumeError("cannot use the key", error)
    }
    if let fault {
      throw VolumeError(
        .invalidRequest, "key \(given) cannot be a volume's key: \(fault)",
        advice: "Choose another key, or leave it out for a fresh one.")
    }
  }
}
