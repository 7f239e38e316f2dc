import CSecretMemory

public enum StackMemory {
  /// Clears what functions that have returned left on this thread's stack, 64 KiB deep.
  ///
  /// For after calls into libraries that leave keys in local variables: libcrypto's HMAC does, so
  /// libcryptsetup's check of a volume key does too.
  public static func wipeUnused() {
    coffer_wipe_stack()
  }
}
