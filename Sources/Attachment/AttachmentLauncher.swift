import Glibc
import HostSystem
public import VolumeAPI

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Starts the process that serves an attachment, and waits until the mount is usable.
public enum AttachmentLauncher {
  /// The first argument that makes `mount.coffer` serve; the request follows on standard input.
  public static let serveArgument = "--serve"
  /// As `serveArgument`, in the foreground.
  public static let serveInForegroundArgument = "--serve-in-foreground"

  /// What a serving process needs to find the service.
  private static let inherited = [
    "COFFER_SOCKET", "COFFER_XTS", "HOME", "LANG", "PATH", "TZ", "XDG_DATA_HOME", "XDG_RUNTIME_DIR",
  ]

  /// Attaches, and mounts the file system inside if the request says so.
  public static func attach(_ request: AttachmentRequest) throws(VolumeError) -> AttachmentStatus {
    guard let fileSystem = request.fileSystem else { return try serve(request) }
    return try InnerMount.mount(request, fileSystem)
  }

  /// Starts a serving process of its own session and returns when the image can be used.
  static func serve(_ request: AttachmentRequest) throws(VolumeError) -> AttachmentStatus {
    do {
      return try start(request)
    } catch let error as SystemError {
      throw VolumeError(.inputOutput, "cannot start the serving process: \(error)")
    } catch {
      throw error as! VolumeError
    }
  }

  private static func start(_ request: AttachmentRequest) throws -> AttachmentStatus {
    let program = try helperProgram()
    let input = try Pipe.make()
    let report = try Pipe.make()
    let child = try ChildProcess.spawn(
      program, arguments: [serveArgument, request.volume, request.mountpoint],
      environment: ChildEnvironment.inheriting(inherited),
      descriptors: [
        (0, input.reader.rawValue), (2, 2), (ReadinessReport.descriptor, report.writer.rawValue),
      ],
      newSession: true)
    close(report.writer.release())
    try input.writer.writeAll(Array(try JSONEncoder().encode(request)))
    close(input.writer.release())
    switch try ReadinessReport.receive(from: report.reader) {
    case .attached(let status): return status
    case .failed(let error): throw error
    case nil:
      let ending =
        switch try child.wait() {
        case .exited(let status): "exit status \(status)"
        case .signalled(let signal): "signal \(signal)"
        }
      throw VolumeError(
        .internalFailure, "the serving process ended before the mount was usable (\(ending))")
    }
  }

  /// Becomes the serving process; returns only on failure.
  public static func serveInForeground(_ request: AttachmentRequest) throws(VolumeError) -> Never {
    let program = try helperProgram()
    do {
      let input = try Pipe.make()
      try input.writer.writeAll(Array((try? JSONEncoder().encode(request)) ?? Data()))
      dup2(input.reader.rawValue, 0)
    } catch {
      throw VolumeError(.inputOutput, "cannot start the serving process: \(error)")
    }
    let arguments = [program, serveInForegroundArgument, request.volume, request.mountpoint]
    var pointers = arguments.map { strdup($0) }
    pointers.append(nil)
    execv(program, &pointers)
    throw VolumeError(
      .inputOutput, "cannot start the serving process: \(SystemError.current("execv", program))")
  }

  private static func helperProgram() throws(VolumeError) -> String {
    if let program = ProgramFile.find("mount.coffer") { return program }
    throw VolumeError(
      .internalFailure, "mount.coffer is not installed",
      advice: "Put it beside coffer or in /sbin, where mount(8) looks for it.")
  }
}
