import Glibc

public enum StandardError {
  /// Writes a line in one piece, so that lines of several threads do not mix.
  public static func print(_ line: String, terminator: String = "\n") {
    let bytes = Array((line + terminator).utf8)
    _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
