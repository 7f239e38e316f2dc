import Glibc

public enum ProcessEnd {
  /// Ends the process: flushes the standard streams and runs no exit handlers.
  ///
  /// libcrypto's exit handler frees what a thread that is just ending frees as well, and a thread that did a
  /// request may be just ending whenever `main` is done.
  public static func now(_ status: Int32) -> Never {
    fflush(nil)
    _exit(status)
  }
}
