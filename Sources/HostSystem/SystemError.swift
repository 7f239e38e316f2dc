import Glibc
public import SystemPackage

/// A system call that failed: which one, on what, and why.
public struct SystemError: Error, CustomStringConvertible, Sendable {
  /// The errno.
  public let code: Errno
  /// The call, for example `open`.
  public let call: String
  /// What it was done to: a path, or nil.
  public let subject: String?

  public init(_ code: Errno, call: String, subject: String? = nil) {
    self.code = code
    self.call = call
    self.subject = subject
  }

  /// The error that the calling thread's errno holds; read it before any other call.
  public static func current(_ call: String, _ subject: String? = nil) -> SystemError {
    SystemError(Errno(rawValue: errno), call: call, subject: subject)
  }

  /// The reason alone: `No space left on device`.
  public var reason: String { String(cString: strerror(code.rawValue)) }

  public var description: String {
    if let subject { "\(subject): \(reason) (\(call))" } else { "\(reason) (\(call))" }
  }
}

/// Runs a call that returns -1 on failure; repeats it when a signal interrupted it.
public func retrying<Value: FixedWidthInteger & SignedInteger>(
  _ call: String, _ subject: String? = nil, _ body: () -> Value
) throws(SystemError) -> Value {
  while true {
    let result = body()
    if result != -1 { return result }
    let error = SystemError.current(call, subject)
    if error.code != .interrupted { throw error }
  }
}
