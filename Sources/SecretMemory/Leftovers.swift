import CSecretMemory

/// What calls into libraries leave behind.
public enum Leftovers {
  /// Clears this thread's stack below the caller, 64 KiB deep, and its vector registers.
  ///
  /// For after a call that had a key in its hands: libcrypto's HMAC keeps one in a local variable, and
  /// memcpy(3) in a register, which the dynamic linker then writes to the stack.
  public static func wipe() {
    coffer_wipe_leftovers()
  }
}
