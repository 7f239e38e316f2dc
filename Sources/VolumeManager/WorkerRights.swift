import CLinux
import Dispatch
import Glibc
import HostSystem
import VolumeAPI

/// How a worker gives up the daemon's rights.
enum WorkerRights {
  /// Takes on the rights of `user` and no others, for good: uid, gid and supplementary groups.
  ///
  /// A daemon that is not root works for its own user alone.
  static func assume(_ user: WorkerUser) throws(VolumeError) {
    _ = coffer_set_no_new_privileges()
    guard geteuid() == 0 else {
      guard user.uid == geteuid() else {
        throw VolumeError(
          .notAuthorized, "this cofferd belongs to user \(geteuid()), not to user \(user.uid)",
          advice: "Use your own cofferd, or the system's.")
      }
      return
    }
    guard user.uid != 0 else { return }
    do throws(SystemError) {
      var groups = supplementaryGroups(of: user)
      _ = try retrying("setgroups") { setgroups(groups.count, &groups) }
      // For root these set the real, the effective and the saved one, setuid(2).
      _ = try retrying("setgid") { setgid(user.gid) }
      _ = try retrying("setuid") { setuid(user.uid) }
    } catch {
      throw VolumeError(.internalFailure, "cannot take on the rights of user \(user.uid): \(error)")
    }
    guard getuid() == user.uid, geteuid() == user.uid, getgid() == user.gid, getegid() == user.gid,
      setuid(0) != 0, seteuid(0) != 0
    else {
      throw VolumeError(.internalFailure, "the rights of user \(user.uid) did not take hold")
    }
    // Gone with the change of user.
    _ = coffer_set_not_dumpable()
  }

  /// The user's groups as the system's databases have them; its own one alone for an unknown user.
  private static func supplementaryGroups(of user: WorkerUser) -> [gid_t] {
    guard let entry = getpwuid(user.uid) else { return [user.gid] }
    var count: Int32 = 64
    while true {
      var groups = [gid_t](repeating: 0, count: Int(count))
      let room = count
      if getgrouplist(entry.pointee.pw_name, user.gid, &groups, &count) >= 0 {
        return Array(groups.prefix(Int(count)))
      }
      count = max(count, room * 2)
    }
  }

  /// Has the kernel kill this process when the daemon dies, whatever state it is in: an abandoned worker
  /// must not go on writing while the next daemon tidies up.
  ///
  /// The setting belongs to a thread, so one is kept for it.
  static func dieWithParent(_ parent: Int32) {
    let ready = DispatchSemaphore(value: 0)
    var thread = pthread_t()
    let result = pthread_create(
      &thread, nil,
      { argument in
        _ = coffer_set_parent_death_signal(SIGKILL)
        Unmanaged<DispatchSemaphore>.fromOpaque(argument!).takeRetainedValue().signal()
        while true { pause() }
      }, Unmanaged.passRetained(ready).toOpaque())
    guard result == 0 else { _exit(1) }
    ready.wait()
    if getppid() != parent { _exit(1) }
  }
}
