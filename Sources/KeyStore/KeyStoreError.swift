import SecretMemory

/// Why the cryptography of the store failed, whatever it was used on.
enum KeyStoreError: Error, CustomStringConvertible {
  /// A sentence of what libcrypto did not do.
  case cryptography(String)
  /// No locked memory.
  case secretMemory(SecretMemoryError)

  var description: String {
    switch self {
    case .cryptography(let text): text
    case .secretMemory(let error): error.description
    }
  }
}
