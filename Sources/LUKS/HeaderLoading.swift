import CCryptsetup
import Glibc

/// Loading a header, saying why where it fails, and repairing it.
extension LUKSImage {
  /// A libcryptsetup device with the header loaded; the caller frees it.
  static func load(
    _ file: borrowing BackingFile, size: UInt64, copies: HeaderCopies
  ) throws(LUKSError) -> OpaquePointer {
    if case .none = copies {
      let reason = size == 0 ? "it is empty" : "it has no LUKS header"
      throw LUKSError(.notLUKS, "\(file.path) is not a LUKS image: \(reason)")
    }
    if case .luks2(nil, nil) = copies {
      throw LoadedHeader.damaged(file, "neither of its two copies is intact")
    }
    let device = try initialize(file)
    do throws(LUKSError) {
      try Library.call("cannot read the LUKS header of", file) { crypt_load(device, nil, nil) }
      return device
    } catch {
      let words = Library.words(on: file)
      crypt_free(device)
      try checkLengthOfRejected(copies, size: size, file)
      guard error.code == .system(errno: EINVAL) else { throw error }
      throw LoadedHeader.damaged(file, words ?? "what it says makes no sense to libcryptsetup")
    }
  }

  static func initialize(_ file: borrowing BackingFile) throws(LUKSError) -> OpaquePointer {
    let path = file.descriptorPath
    var device: OpaquePointer?
    try Library.call("cannot open", file) { crypt_init(&device, path) }
    guard let device else { preconditionFailure("crypt_init succeeds with a device") }
    return device
  }

  /// Repairs one copy of a LUKS2 header from the other.
  ///
  /// With its locking off libcryptsetup does so only when asked; and only what it has loaded well
  /// before is offered to it, since here it no longer looks for signatures of other formats. It keeps
  /// quiet when it could not write, so the result is read back.
  private static func repair(_ file: borrowing BackingFile) throws(LUKSError) {
    let device = try initialize(file)
    defer { crypt_free(device) }
    try Library.call("cannot repair the LUKS header of", file) {
      crypt_repair(device, CRYPT_LUKS2, nil)
    }
    try file.synchronize()
    if try HeaderCopies.read(file).fault != nil {
      throw LUKSError(
        .system(errno: EIO), "cannot repair the LUKS header of \(file.path): it cannot be written")
    }
  }

  /// Repairs what is not `readOnly`, and says what was found and done.
  ///
  /// A repair that fails is no reason not to open: the other copy is intact.
  static func repair(
    _ fault: HeaderCopies.Fault, in file: borrowing BackingFile, readOnly: Bool
  ) -> String {
    let finding =
      switch fault {
      case .damaged(let which): "the \(which) of the two copies of the LUKS2 header is damaged"
      case .outdated(let which):
        "the \(which) of the two copies of the LUKS2 header is out of date (an update was interrupted)"
      }
    if readOnly {
      return "\(finding); the other copy is in use, and opening the image for writing repairs it"
    }
    do throws(LUKSError) {
      try repair(file)
      return "\(finding); it was repaired from the other copy"
    } catch {
      return "\(finding); the other copy is in use, and the repair failed: \(error.message)"
    }
  }

  /// libcryptsetup rejects an image that ends within its header, with the same result as a damaged one.
  private static func checkLengthOfRejected(
    _ copies: HeaderCopies, size: UInt64, _ file: borrowing BackingFile
  ) throws(LUKSError) {
    var end: UInt64?
    switch copies {
    case .luks1:
      let offset = try file.read(count: 108, at: 0).dropFirst(104)
      guard offset.count == 4 else { throw LoadedHeader.damaged(file, "it ends within itself") }
      end = 512 * offset.reduce(0) { $0 << 8 | UInt64($1) } + 512
    case .luks2:
      // Nothing has validated this metadata: any number may be in it.
      guard let segment = copies.best?.document?.segments["0"], let offset = UInt64(segment.offset)
      else { return }
      let length = UInt64(segment.size) ?? UInt64(clamping: segment.sectorSize ?? 512)
      let (sum, overflow) = offset.addingReportingOverflow(length)
      if !overflow { end = sum }
    case .none: break
    }
    if let end, size < end { throw LoadedHeader.truncated(file, by: end - size) }
  }
}
