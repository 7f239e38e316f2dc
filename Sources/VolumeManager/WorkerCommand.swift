/// How to start a worker process, which is `cofferd worker`.
public struct WorkerCommand: Sendable {
  /// The path of the program.
  public var executable: String
  /// What follows the program's name.
  public var arguments: [String]
  /// A worker that has not answered after this time is killed.
  public var timeLimit: Duration
  /// As `NAME=value`; a worker inherits nothing of the daemon's.
  var environment: [String] = []

  public init(
    executable: String = "/proc/self/exe", arguments: [String] = ["worker"],
    timeLimit: Duration = .seconds(120)
  ) {
    self.executable = executable
    self.arguments = arguments
    self.timeLimit = timeLimit
  }
}
