import Glibc
import Testing

@testable import SectorCipher

@Suite struct KernelSelectionTests {
  private let available: [Kernel] = [.vaes256, .aesni, .libcrypto]

  @Test func theFastestComesFirst() throws {
    let selection = try KernelSelection.choose(named: nil, from: available) { _ in true }
    #expect(selection.kernel == .vaes256)
    #expect(selection.failed == [])
    #expect(!selection.isRequested)
    #expect(selection.description == "AES-XTS kernel vaes256")
  }

  @Test func aNameGoesFirst() throws {
    let selection = try KernelSelection.choose(named: "libcrypto", from: available) { _ in true }
    #expect(selection.kernel == .libcrypto)
    #expect(selection.isRequested)
    #expect(selection.description == "AES-XTS kernel libcrypto (COFFER_XTS)")
  }

  @Test func anEmptyNameIsNone() throws {
    let selection = try KernelSelection.choose(named: "", from: available) { _ in true }
    #expect(selection.kernel == .vaes256)
    #expect(!selection.isRequested)
  }

  @Test(arguments: ["arm64", "VAES256", "openssl", " aesni"])
  func aNameThatCannotBeUsedIsAnError(name: String) throws {
    let error = try #require(throws: SectorCipherError.self) {
      try KernelSelection.choose(named: name, from: available) { _ in true }
    }
    #expect(
      error.description == "no AES-XTS kernel '\(name)' on this machine: "
        + "COFFER_XTS can be vaes256, aesni, libcrypto")
  }

  @Test func aFailureFallsBackAndSaysSo() throws {
    let selection = try KernelSelection.choose(named: nil, from: available) { $0 == .libcrypto }
    #expect(selection.kernel == .libcrypto)
    #expect(selection.failed == [.vaes256, .aesni])
    #expect(
      selection.description
        == "AES-XTS kernel libcrypto, since the self-test of vaes256, aesni failed: "
        + "check this machine's memory and processor, and report it")
  }

  @Test func aNamedKernelThatFailsFallsBackToASlowerOne() throws {
    let selection = try KernelSelection.choose(named: "aesni", from: available) { $0 != .aesni }
    #expect(selection.kernel == .libcrypto)
    #expect(selection.failed == [.aesni])
  }

  @Test func withoutAnyKernelThereIsNoCipher() throws {
    let error = try #require(throws: SectorCipherError.self) {
      try KernelSelection.choose(named: nil, from: available) { _ in false }
    }
    guard case .selfTestFailed(let kernels) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(kernels == available)
  }

  @Test func libcryptoIsTheLastResort() {
    #expect(Kernel.available.last == .libcrypto)
  }

  @Test func theEnvironmentPicksTheKernel() async {
    await #expect(processExitsWith: .success) {
      setenv("COFFER_XTS", "libcrypto", 1)
      let selection = try KernelSelection.current
      precondition(selection.kernel == .libcrypto && selection.isRequested)
      let cipher = try SectorCipher(key: secret(Array(0..<64)), sectorSize: 512)
      precondition(cipher.kernel == .libcrypto)
    }
  }

  @Test func anUnknownNameInTheEnvironmentIsAnError() async {
    await #expect(processExitsWith: .success) {
      setenv("COFFER_XTS", "rot13", 1)
      do {
        _ = try SectorCipher(key: secret(Array(0..<64)), sectorSize: 512)
        preconditionFailure()
      } catch let error as SectorCipherError {
        guard case .kernelUnavailable("rot13", Kernel.available) = error else {
          preconditionFailure("\(error)")
        }
      }
    }
  }

  @Test func withoutTheVariableTheFastestIsUsed() async {
    await #expect(processExitsWith: .success) {
      unsetenv("COFFER_XTS")
      let selection = try KernelSelection.current
      precondition(selection.kernel == Kernel.available[0] && !selection.isRequested)
    }
  }
}
