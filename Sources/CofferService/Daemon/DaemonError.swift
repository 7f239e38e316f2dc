/// Why the daemon did not start, or did not stop as it should.
public struct DaemonError: Error, Sendable, CustomStringConvertible {
  /// The exit codes of `cofferd`, beside 0 and those of a wrong command line (64).
  public enum Code: Int32, Sendable {
    /// Anything else.
    case failure = 1
    /// Another instance has the state directory or the socket.
    case alreadyRunning = 2
    /// The state directory or the key store cannot be used.
    case state = 3
    /// What a crash left behind cannot be finished or undone.
    case recovery = 4
    /// The socket cannot be made.
    case socket = 5
    /// The configuration cannot be used.
    case configuration = 6
  }

  /// What kind of failure, and the exit code.
  public let code: Code
  /// A sentence for people: what, on what, why, and what to do next.
  public let message: String

  init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  /// The message.
  public var description: String { message }
}
