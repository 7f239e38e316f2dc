internal import CXTS

/// An implementation of AES-XTS. The raw value is its name in `COFFER_XTS`.
public enum Kernel: String, Sendable, CaseIterable {
  /// x86-64 with VAES and AVX-512: four blocks in a vector.
  case vaes512
  /// x86-64 with VAES and AVX2: two blocks in a vector.
  case vaes256
  /// x86-64 with AES-NI.
  case aesni
  /// Armv8-A with the cryptographic extension.
  case arm64
  /// libcrypto's EVP interface, on any processor. Its key schedules lie in libcrypto's heap, which
  /// is wiped but not locked.
  case libcrypto

  /// The kernels that this machine can run, the fastest first; `libcrypto` is always the last.
  public static let available: [Kernel] = allCases.filter { kernel in
    kernel.instructions.map(coffer_xts_available) ?? true
  }

  /// CXTS's name for it; nil for `libcrypto`.
  var instructions: coffer_xts_kernel? {
    switch self {
    case .vaes512: coffer_xts_vaes512
    case .vaes256: coffer_xts_vaes256
    case .aesni: coffer_xts_aesni
    case .arm64: coffer_xts_arm64
    case .libcrypto: nil
    }
  }
}
