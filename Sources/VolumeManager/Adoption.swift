import HostSystem
import KeyManager
import LUKS
import VolumeAPI

/// Adopting images that were made elsewhere. Order: the journal's entry with the keyslots that are the
/// user's, the key, the managed keyslot and the token, the catalog.
extension VolumeManager {
  func adoptImage(
    _ request: VolumeImport, _ passphrase: SecretBox, _ context: RequestContext,
    _ caller: PeerCredentials
  ) async throws(VolumeError) -> VolumeDocument {
    try VolumeRules.check(name: request.name)
    try VolumeRules.check(path: request.image)
    let rights = try rights(of: caller)
    try await checkRight(toCreateFrom: request.keyID, context)
    guard case .inspected(let found) = try await look(.inspect(path: request.image), rights) else {
      throw Self.unexpectedReply
    }
    try checkIsFree(request.image, [found.headerID] + [found.tokenVolumeID].compactMap { $0 })
    if let other = found.tokenVolumeID {
      throw VolumeError(
        .alreadyExists,
        "\(request.image) has a token already that makes it the image of volume \(other)",
        advice:
          "If that volume is no more, remove the token (cryptsetup luksDump shows its number): "
          + "cryptsetup token remove --token-id NUMBER \(request.image)")
    }
    let row = VolumeRow(
      id: .random(), project: context.project, name: request.name, state: .creating,
      origin: .adopted, image: found.path, size: 0, sectorSize: 512, luksVersion: 2,
      user: context.user, roles: VolumeRow.encode(context.roles), uid: rights.uid, gid: rights.gid,
      created: Timestamp.now().microseconds)
    try begin(row, .adopt, userKeyslots: found.keyslots)
    defer { running.remove(row.id) }
    do throws(VolumeError) {
      let (keyed, managed) = try await withNewKey(row, from: request.keyID)
      guard let keyID = keyed.keyID else { throw Self.unexpectedReply }
      let adoption = AdoptRequest(path: found.path, found: found, volumeID: row.id, keyID: keyID)
      let facts = try await prepare(keyed, .adopt(adoption), secrets: [passphrase, managed])
      return try commit(keyed, facts)
    } catch {
      try await fail(row.id, error)
    }
  }
}
