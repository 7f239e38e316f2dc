/// The worker process: reads one request from standard input, does it with the rights of the user that
/// asked, and answers with one line on standard output.
public enum ImageWorker {
  /// Serves the one request. Returns the exit status: 0 when an answer was written.
  public static func run() async -> Int32 {
    1
  }
}
