internal import Glibc

/// The kernel that this process uses, and how it came to be chosen: worth a line in the log.
public struct KernelSelection: Sendable, Equatable, CustomStringConvertible {
  /// The kernel, which has passed its self-test.
  public let kernel: Kernel
  /// Kernels that this machine should run and that would have gone first, but failed the self-test.
  /// Anything here means a fault in the processor, the emulator or Coffer.
  public let failed: [Kernel]
  /// Whether `COFFER_XTS` named the first choice.
  public let isRequested: Bool

  /// The process's choice, made at its first use: the kernel that the environment variable
  /// `COFFER_XTS` names, otherwise the fastest; where that fails its self-test, the next slower
  /// one. Throws when `COFFER_XTS` names none that this machine can run.
  public static var current: KernelSelection {
    get throws(SectorCipherError) { try processWide.get() }
  }

  private static let processWide = Result<KernelSelection, SectorCipherError> {
    () throws(SectorCipherError) in
    let name = getenv("COFFER_XTS").map { String(cString: $0) }
    return try choose(named: name, from: Kernel.available, passes: KernelProof.passes)
  }

  /// `available` has the preferred kernels first. An empty name counts as none.
  static func choose(
    named name: String?, from available: [Kernel],
    passes: (Kernel) throws(SectorCipherError) -> Bool
  ) throws(SectorCipherError) -> KernelSelection {
    var candidates = available
    let isRequested = name.map { !$0.isEmpty } ?? false
    if let name, isRequested {
      guard let index = available.firstIndex(where: { $0.rawValue == name }) else {
        throw .kernelUnavailable(name: name, available: available)
      }
      candidates.removeFirst(index)
    }
    var failed: [Kernel] = []
    for kernel in candidates {
      if try passes(kernel) {
        return KernelSelection(kernel: kernel, failed: failed, isRequested: isRequested)
      }
      failed.append(kernel)
    }
    throw .selfTestFailed(failed)
  }

  public var description: String {
    let choice = "AES-XTS kernel \(kernel.rawValue)" + (isRequested ? " (COFFER_XTS)" : "")
    guard !failed.isEmpty else { return choice }
    return choice + ", since the self-test of " + failed.map(\.rawValue).joined(separator: ", ")
      + " failed: check this machine's memory and processor, and report it"
  }
}
