import Attachment
import AttachmentServer
import Glibc
import HostSystem
import VolumeAPI

/// The helper of mount(8) and, under the name `umount.coffer`, of umount(8); and the process that serves an
/// attached volume, which `coffer` and the helper start.
@main
struct MountHelper {
  static func main() async {
    ProcessHardening.apply()
    let arguments = CommandLine.arguments
    if arguments.count > 1, arguments[1] == AttachmentLauncher.serveArgument {
      ProcessEnd.now(await ServingProcess.runInBackground())
    }
    do throws(VolumeError) {
      if arguments.count > 1, arguments[1] == AttachmentLauncher.serveInForegroundArgument {
        try await ServingProcess.runInForeground()
        ProcessEnd.now(0)
      }
      let name = arguments.first?.split(separator: "/").last ?? ""
      if name.hasPrefix("umount") {
        try unmount(Array(arguments.dropFirst()))
      } else {
        try mount(Array(arguments.dropFirst()))
      }
      ProcessEnd.now(0)
    } catch {
      let advice = error.advice.map { "\n              \($0)" } ?? ""
      StandardError.print("mount.coffer: \(error.message)\(advice)")
      ProcessEnd.now(exitStatus(of: error.code))
    }
  }

  private static func mount(_ words: [String]) throws(VolumeError) {
    let arguments = try HelperArguments(words)
    let request = try arguments.request()
    if let namespace = arguments.namespace { try enter(namespace) }
    if arguments.fake { return }
    let status = try AttachmentLauncher.attach(request)
    for notice in status.notices { StandardError.print("mount.coffer: \(notice)") }
    if arguments.verbose {
      print(
        "mount.coffer: \(status.volume) mounted on \(status.mountpoint) by process \(status.pid)")
    }
  }

  private static func unmount(_ words: [String]) throws(VolumeError) {
    let arguments = try HelperArguments(words, unmounting: true)
    if let namespace = arguments.namespace { try enter(namespace) }
    for directory in arguments.operands {
      _ = try Detachment.detach(directory, lazy: arguments.lazy)
    }
  }

  private static func enter(_ namespace: String) throws(VolumeError) {
    do {
      try MountNamespace.enter(namespace)
    } catch {
      throw VolumeError(.notAuthorized, "cannot enter mount namespace \(namespace): \(error)")
    }
  }

  /// mount(8)'s exit codes, "EXIT STATUS".
  private static func exitStatus(of code: VolumeErrorCode) -> Int32 {
    let incorrectInvocation: Int32 = 1
    let systemError: Int32 = 2
    let internalBug: Int32 = 4
    let mountFailure: Int32 = 32
    return switch code {
    case .invalidRequest, .notAuthorized: incorrectInvocation
    case .noFuse: systemError
    case .internalFailure: internalBug
    default: mountFailure
    }
  }
}
