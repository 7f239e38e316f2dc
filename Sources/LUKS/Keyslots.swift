import CCryptsetup
import Glibc
public import SecretMemory

/// Changing keyslots and the token. Every function throws `readOnly` on an image opened for reading; each
/// change is on disk, in both copies of the header, when the function returns.
extension LUKSImage {
  /// The numbers of the keyslots that give the volume key, ascending.
  public var keyslots: [Int] {
    LoadedHeader.boundKeyslots(device)
  }

  /// Adds a keyslot for a key of a key manager: PBKDF2 at libcryptsetup's minimum, since such a key is
  /// uniformly random. A passphrase that a person types must not go into such a keyslot.
  ///
  /// - Parameters:
  ///   - existing: opens one of the keyslots.
  ///   - managedPassphrase: `ManagedPassphrase.of(key:)`.
  /// - Returns: the new keyslot's number.
  /// - Throws: `wrongKey` when `existing` opens none, `noFreeKeyslot`.
  public func addManagedKeyslot(
    existing: borrowing SecretBytes, managedPassphrase: borrowing SecretBytes
  ) throws(LUKSError) -> Int {
    try requireWritable("add a keyslot to")
    let highest = crypt_keyslot_max(crypt_get_type(device))
    guard
      let free = (0..<highest).first(where: {
        crypt_keyslot_status(device, $0) == CRYPT_SLOT_INACTIVE
      })
    else {
      throw LUKSError(
        .noFreeKeyslot, "cannot add a keyslot to \(path): all \(highest) are in use",
        advice: "Remove one that is not needed (cryptsetup luksKillSlot).")
    }
    try file.reserve(length: geometry.dataOffset)
    let hash =
      geometry.version == 1
      ? crypt_get_pbkdf_type(device).map { String(cString: $0.pointee.hash) } ?? "sha256" : "sha256"
    try Library.call("cannot add a keyslot to", file) {
      Self.withManagedKeyDerivation(hash: hash) { crypt_set_pbkdf_type(device, $0) }
    }
    let added = try reloadingOnFailure { () throws(LUKSError) in
      try Library.call("cannot add a keyslot to", file) {
        existing.withUnsafeBytes { existing in
          managedPassphrase.withUnsafeBytes { new in
            crypt_keyslot_add_by_passphrase(
              device, free, existing.baseAddress?.assumingMemoryBound(to: CChar.self),
              existing.count, new.baseAddress?.assumingMemoryBound(to: CChar.self), new.count)
          }
        }
      }
    }
    return Int(added)
  }

  /// Writes the token, in the place of the present one if there is one.
  ///
  /// Throws `unsupported(.token)` for LUKS1.
  public func setToken(_ new: ManagedToken) throws(LUKSError) {
    try requireWritable("set the token of")
    guard geometry.version == 2 else {
      throw LUKSError(.unsupported(.token), "cannot set the token of \(path): LUKS1 has no tokens")
    }
    if let unknown = new.keyslots.first(where: { !keyslots.contains($0) }) {
      throw LUKSError(
        .invalidRequest, "cannot set the token of \(path): keyslot \(unknown) is not in use")
    }
    tokenNumber = try reloadingOnFailure { () throws(LUKSError) in
      try Library.call("cannot set the token of", file) {
        crypt_token_json_set(device, tokenNumber ?? CRYPT_ANY_TOKEN, new.json())
      }
    }
    token = new
  }

  /// Removes the token, if there is one.
  public func removeToken() throws(LUKSError) {
    try requireWritable("remove the token of")
    guard let number = tokenNumber else { return }
    try reloadingOnFailure { () throws(LUKSError) in
      try Library.call("cannot remove the token of", file) {
        crypt_token_json_set(device, number, nil)
      }
    }
    (token, tokenNumber) = (nil, nil)
  }

  /// Overwrites a keyslot and frees it. The token no longer lists it afterwards.
  ///
  /// Throws `invalidRequest` when it is not in use, or is the last that gives the volume key.
  public func destroyKeyslot(_ number: Int) throws(LUKSError) {
    try requireWritable("destroy a keyslot of")
    guard keyslots.contains(number) else {
      throw LUKSError(
        .invalidRequest, "cannot destroy keyslot \(number) of \(path): it is not in use")
    }
    guard keyslots != [number] else {
      throw LUKSError(
        .invalidRequest,
        "cannot destroy keyslot \(number) of \(path): it is the last one, and without "
          + "it the data is lost")
    }
    try destroy(Int32(number))
  }

  /// Overwrites every keyslot. After that nothing opens the image, and the data in it is lost.
  public func eraseAllKeyslots() throws(LUKSError) {
    try requireWritable("erase the keyslots of")
    for number in 0..<crypt_keyslot_max(crypt_get_type(device))
    where crypt_keyslot_status(device, number).rawValue > CRYPT_SLOT_INACTIVE.rawValue {
      try destroy(number)
    }
  }

  private func destroy(_ number: Int32) throws(LUKSError) {
    try reloadingOnFailure { () throws(LUKSError) in
      try Library.call("cannot destroy keyslot \(number) of", file) {
        crypt_keyslot_destroy(device, number)
      }
    }
    token?.keyslots.removeAll { $0 == Int(number) }
  }

  /// After a failure what libcryptsetup holds in memory may be ahead of what it has written.
  @discardableResult
  private func reloadingOnFailure(
    _ change: () throws(LUKSError) -> Int32
  ) throws(LUKSError) -> Int32 {
    do throws(LUKSError) {
      return try change()
    } catch {
      crypt_load(device, nil, nil)
      throw error
    }
  }

  private func requireWritable(_ what: String) throws(LUKSError) {
    if readOnly {
      throw LUKSError(.readOnly, "cannot \(what) \(path): it was opened for reading")
    }
  }
}
