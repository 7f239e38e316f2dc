/// Why a benchmark cannot go on: what failed, on what, why, and what to do next.
public struct BenchmarkError: Error, CustomStringConvertible, Sendable {
  public enum Code: Sendable {
    /// The arguments make no sense together.
    case invalidRequest
    /// A program that it needs is missing.
    case missingProgram
    /// Not enough room for the files.
    case noSpace
    /// A signal asked for the end.
    case interrupted
    /// A program or a system call failed.
    case failed
  }

  public let code: Code
  public let message: String
  public let advice: String?

  init(_ code: Code, _ message: String, advice: String? = nil) {
    self.code = code
    self.message = message
    self.advice = advice
  }

  public var description: String { advice.map { "\(message)\n\($0)" } ?? message }
}
