import KeyStore

extension MasterKeyConfiguration {
  /// The store that is meant: without any word, a file in the directory of the keys.
  func store(directory: String) throws(DaemonError) -> any MasterKeyStore {
    do {
      if let credential { return try CredentialMasterKeyStore(name: credential) }
      var passphrase: Passphrase?
      if let passphraseFile { passphrase = try .read(file: passphraseFile) }
      if let passphraseCredential { passphrase = try .read(credential: passphraseCredential) }
      return FileMasterKeyStore(path: file ?? "\(directory)/master.key", passphrase: passphrase)
    } catch let error as EmptyStoreError {
      throw DaemonError(.state, "cannot use the master key: there is no file \(error.store)")
    } catch {
      throw DaemonError(.state, "cannot use the master key: \(error)")
    }
  }
}
