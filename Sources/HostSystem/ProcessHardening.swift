import CLinux
import Glibc

/// What a process that will hold keys does before it reads the first one.
public enum ProcessHardening {
  /// Variable and value that keep Swift's crash backtracer from printing registers and the memory they
  /// point to. It is read before `main`, so it must be there when the process starts.
  public static let backtraceSetting = "SWIFT_BACKTRACE=enable=no"

  /// Applies everything; call it first in `main`. May replace the process image once by itself, with the
  /// same arguments, to have `backtraceSetting` in force.
  public static func apply() {
    restartWithoutBacktraces()
    _ = coffer_set_not_dumpable()
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
    umask(0o077)
    signal(SIGPIPE, SIG_IGN)
  }

  private static func restartWithoutBacktraces() {
    let parts = backtraceSetting.split(separator: "=", maxSplits: 1).map(String.init)
    if let value = getenv(parts[0]), String(cString: value) == parts[1] { return }
    setenv(parts[0], parts[1], 1)
    // Where exec fails the process goes on: a crash would then print more than it should, no more.
    execv("/proc/self/exe", CommandLine.unsafeArgv)
  }

  /// Raises the number of descriptors to the hard limit.
  public static func raiseDescriptorLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}
