/// An implementation of AES-XTS.
public enum Kernel: String, Sendable, CaseIterable {
  /// libcrypto's EVP interface, on any processor.
  case libcrypto

  /// The kernels that this machine can run, the fastest first. `libcrypto` is always among them.
  public static let available: [Kernel] = [.libcrypto]
}
