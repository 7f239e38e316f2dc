import CCryptsetup
import Glibc
import SecretMemory

/// libcryptsetup as a whole: its settings and its log.
@LUKSActor
enum Library {
  /// Settings of the process, made before the library's first use.
  ///
  /// - Metadata locking off: the lock directory is root's. Coffer takes `HostSystem.ImageLock` instead.
  ///   With locking off the library also takes no flock(2) on the image, and it does not repair a header
  ///   while loading it, so that loading never writes.
  /// - Token plug-ins off: a token's type in an image must not make this process load a shared object.
  private static let prepared: Void = {
    crypt_metadata_locking(nil, 0)
    crypt_token_external_disable()
    crypt_set_log_callback(nil, keepLogMessage, nil)
  }()

  /// Calls the library; a negative result is thrown as an error that says what failed on what, in the
  /// library's own words where it has any.
  ///
  /// - Parameters:
  ///   - what: for example `cannot read the LUKS header of`.
  ///   - file: what it was done to.
  @discardableResult
  static func call(
    _ what: String, _ file: borrowing BackingFile, _ body: () -> Int32
  ) throws(LUKSError) -> Int32 {
    _ = prepared
    logMessages.removeAll()
    let result = body()
    Leftovers.wipe()
    if result >= 0 { return result }
    throw failure(what, file, errno: -result)
  }

  /// What the library said during the last call, with the path that the caller knows.
  static func words(on file: borrowing BackingFile) -> String? {
    guard !logMessages.isEmpty else { return nil }
    return logMessages.suffix(3).joined(separator: " ")
      .replacing(file.descriptorPath, with: file.path)
  }

  private static func failure(
    _ what: String, _ file: borrowing BackingFile, errno code: Int32
  ) -> LUKSError {
    let message = "\(what) \(file.path): \(words(on: file) ?? String(cString: strerror(code)))"
    return switch code {
    case EPERM: LUKSError(.wrongKey, message)
    case ENOSPC: LUKSError(.noSpace, message, advice: "Free some space.")
    case ENOMEM: LUKSError(.noMemory, message)
    case EBUSY: LUKSError(.inUse, message, advice: "Unmount it, or stop the program that uses it.")
    default: LUKSError(.system(errno: code), message)
    }
  }
}

/// The library's error messages since the last call began.
// nonisolated(unsafe): the library calls back on the thread that called it, and that is always the
// actor's; the callback itself cannot carry the isolation through C.
nonisolated(unsafe) private var logMessages: [String] = []

private func keepLogMessage(
  level: Int32, message: UnsafePointer<CChar>?, _: UnsafeMutableRawPointer?
) {
  guard level == CRYPT_LOG_ERROR, let message else { return }
  let text = String(cString: message)
  logMessages.append(String(text.reversed().drop { $0.isNewline }.reversed()))
}
