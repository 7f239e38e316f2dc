import CLinux
import Glibc
import SystemPackage

/// How a child process ended.
public enum ExitStatus: Sendable, Equatable {
  /// It exited by itself with this status, 0 to 255.
  case exited(Int32)
  /// This signal ended it.
  case signalled(Int32)
}

/// A program started with posix_spawn(3); never fork(2), after which a Swift process is not usable.
public struct ChildProcess: ~Copyable, Sendable {
  public let pid: Int32

  /// Starts `executable` (a path).
  ///
  /// - Parameters:
  ///   - arguments: without the program's name, which is the path's last component.
  ///   - environment: all of it, as `NAME=value`.
  ///   - descriptors: what the child sees under which number; the standard ones that are not named
  ///     are `/dev/null`, and all above the highest one is closed.
  ///   - newSession: setsid(2): the child outlives the terminal.
  public static func spawn(
    _ executable: String, arguments: [String], environment: [String],
    descriptors: [(child: Int32, ours: Int32)] = [], newSession: Bool = false
  ) throws(SystemError) -> ChildProcess {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }

    // Numbers out of the way first, so that no dup2 overwrites the source of a later one.
    var moved: [Int32] = []
    defer { for number in moved { close(number) } }
    for standard in Int32(0)...2 where !descriptors.contains(where: { $0.child == standard }) {
      posix_spawn_file_actions_addopen(
        &actions, standard, "/dev/null", standard == 0 ? O_RDONLY : O_WRONLY, 0)
    }
    for (child, ours) in descriptors {
      let high = try retrying("fcntl(F_DUPFD)") { fcntl(ours, F_DUPFD_CLOEXEC, 64) }
      moved.append(high)
      posix_spawn_file_actions_adddup2(&actions, high, child)
    }
    let last = descriptors.map(\.child).max() ?? 2
    _ = coffer_spawn_close_from(&actions, max(last, 2) + 1)

    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    let flags =
      POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (newSession ? spawnSetsid : 0)
    posix_spawnattr_setflags(&attributes, Int16(flags))

    let name = String(executable.split(separator: "/").last ?? Substring(executable))
    var pid: pid_t = 0
    let result = withCStrings([name] + arguments) { argv in
      withCStrings(environment) { envp in
        posix_spawn(&pid, executable, &actions, &attributes, argv, envp)
      }
    }
    guard result == 0 else {
      throw SystemError(Errno(rawValue: result), call: "posix_spawn", subject: executable)
    }
    return ChildProcess(pid: pid)
  }

  /// Waits for the child's end; blocks the thread. Call it once.
  public borrowing func wait() throws(SystemError) -> ExitStatus {
    var status: Int32 = 0
    let pid = pid
    _ = try retrying("waitpid") { waitpid(pid, &status, 0) }
    let signal = status & 0x7F
    return signal == 0 ? .exited(status >> 8 & 0xFF) : .signalled(signal)
  }

  /// kill(2). Only before `wait` has returned.
  public borrowing func signal(_ number: Int32) {
    kill(pid, number)
  }
}

/// `POSIX_SPAWN_SETSID` of spawn.h, a GNU extension that is not imported.
private let spawnSetsid: Int32 = 0x80

private func withCStrings<Result>(
  _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers = strings.map { strdup($0) }
  pointers.append(nil)
  defer { for pointer in pointers { free(pointer) } }
  return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
}
