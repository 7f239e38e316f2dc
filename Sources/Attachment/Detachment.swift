import Glibc
import HostSystem
public import VolumeAPI

/// What `coffer detach` found and did.
public enum DetachmentOutcome: Sendable, Equatable {
  /// Flushed and unmounted; the serving process has gone.
  case detached
  /// The serving process had died; its dead mount was removed.
  case removedStaleMount
}

/// Undoes an attachment.
public enum Detachment {
  /// Unmounts `directory` and returns when the serving process has flushed and gone.
  ///
  /// - Parameter lazy: take the mount away at once, though files are open; the serving process ends when
  ///   the last one is closed, and this does not wait for it.
  public static func detach(
    _ directory: String, lazy: Bool = false
  ) throws(VolumeError) -> DetachmentOutcome {
    let (path, top, device) = try locate(directory)
    let server = AttachmentDirectory.server(of: top, device: device)
    if server == nil, isDead(path, top) {
      try unmount(path, type: top.type, lazy: true)
      return .removedStaleMount
    }
    try unmountAndWait(path, type: top.type, server: server, lazy: lazy)
    return .detached
  }

  /// What the serving process behind `directory` says of itself.
  public static func status(of directory: String) throws(VolumeError) -> AttachmentStatus {
    let (path, top, device) = try locate(directory)
    guard
      let status = ControlClient.status(
        device: device, directories: AttachmentDirectory.candidates(for: top))
    else {
      throw VolumeError(
        .badMountpoint, "nobody answers for \(path)",
        advice: "If the serving process has died, coffer detach \(path) removes its mount.")
    }
    return status
  }

  /// What is on top at `directory`, and the device number of the FUSE mount that it is or stands on.
  private static func locate(
    _ directory: String
  ) throws(VolumeError) -> (path: String, top: MountEntry, device: String) {
    let path: String
    let top: MountEntry?
    do {
      path = try PathName.resolved(directory)
      top = try MountTable.entry(at: path)
    } catch {
      throw VolumeError(.badMountpoint, "\(error)")
    }
    guard let top, let device = AttachmentDirectory.servedDevice(of: top) else {
      throw VolumeError(
        .badMountpoint, "no volume is attached at \(directory)",
        advice: "coffer attachment list shows where volumes are attached.")
    }
    return (path, top, device)
  }

  static func unmountAndWait(
    _ path: String, type: String = "fuse.coffer", server: Int32?, lazy: Bool = false
  ) throws(VolumeError) {
    do {
      var handle: ProcessHandle?
      if let server { handle = try ProcessHandle.open(pid: server) }
      try unmount(path, type: type, lazy: lazy)
      if let handle, !lazy { _ = try handle.waitForExit(milliseconds: -1) }
    } catch let error as SystemError {
      throw VolumeError(.inputOutput, "\(error)")
    } catch {
      throw error as? VolumeError ?? VolumeError(.internalFailure, "\(error)")
    }
  }

  private static func unmount(_ path: String, type: String, lazy: Bool) throws(VolumeError) {
    let arguments: [String]
    let tool: String
    if type == "fuse.coffer", geteuid() != 0 {
      tool = "fusermount3"
      arguments = ["-u"] + (lazy ? ["-z"] : []) + ["--", path]
    } else {
      tool = "umount"
      arguments = ["-i"] + (lazy ? ["-l"] : []) + ["--", path]
    }
    do {
      let errors = try Pipe.make()
      let child = try ChildProcess.spawn(
        try InnerMount.program(tool), arguments: arguments,
        environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"],
        descriptors: [(2, errors.writer.rawValue)])
      close(errors.writer.release())
      let text = String(decoding: try errors.reader.readAll(limit: 65536), as: UTF8.self)
      if try child.wait() == .exited(0) { return }
      if text.contains("busy") {
        throw VolumeError(
          .inUse, "\(path) is in use",
          advice: "Close what is open there (fuser -vm \(path) shows it), or detach with --lazy.")
      }
      let reason = text.split(separator: "\n").joined(separator: " ")
      throw VolumeError(.inputOutput, "cannot unmount \(path): \(reason)")
    } catch let error as SystemError {
      throw VolumeError(.inputOutput, "cannot unmount \(path): \(error)")
    } catch {
      throw error as? VolumeError ?? VolumeError(.internalFailure, "\(error)")
    }
  }

  /// Whether the serving process has died.
  private static func isDead(_ path: String, _ entry: MountEntry) -> Bool {
    // A file system on a loop device answers from its cache for a while; its server would have answered
    // root on the control socket.
    if entry.type != "fuse.coffer" { return true }
    var status = stat()
    return stat(path, &status) != 0 && (errno == ENOTCONN || errno == ECONNABORTED)
  }
}
