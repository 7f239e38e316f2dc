import Glibc
import HostSystem
import KeyManager
import VolumeAPI

/// Mounts the file system inside a volume: the image is served in a hidden directory, a loop device is put
/// over it, and mount(8) mounts that.
///
/// Then the hidden mount is detached: the loop device keeps the image open, and nothing else does. When the
/// file system is unmounted, by whomever, the loop device goes, with it the last user of the hidden mount, and
/// with that the serving process.
enum InnerMount {
  static func mount(
    _ request: AttachmentRequest, _ fileSystem: InnerFileSystem
  ) throws(VolumeError) -> AttachmentStatus {
    guard geteuid() == 0 else {
      throw VolumeError(
        .notAuthorized, "mounting the file system inside a volume needs root",
        advice: "Attach the volume without fs, or mount it as root.")
    }
    try checkDirectory(request.mountpoint)
    let hidden = try makeHiddenDirectory()
    defer { rmdir(hidden) }
    var served = request
    served.servedDirectory = hidden
    let status = try AttachmentLauncher.serve(served)
    do {
      try mountFileSystem(in: "\(hidden)/volume", request, fileSystem)
    } catch {
      try? Detachment.unmountAndWait(hidden, server: status.pid)
      throw error
    }
    try Detachment.unmountAndWait(hidden, server: nil, lazy: true)
    return status
  }

  private static func mountFileSystem(
    in image: String, _ request: AttachmentRequest, _ fileSystem: InnerFileSystem
  ) throws(VolumeError) {
    var options = fileSystem.options + [request.readOnly ? "ro" : "rw", "helper=coffer"]
    if request.noSetUserID { options.append("nosuid") }
    if request.noDevices { options.append("nodev") }
    if request.noExecution { options.append("noexec") }
    do {
      let file = try Descriptor.open(image, request.readOnly ? O_RDONLY : O_RDWR)
      let loop = try LoopDevice.attach(
        to: file, readOnly: request.readOnly, label: AttachmentDirectory.loopLabel)
      let errors = try Pipe.make()
      let type = fileSystem.type.map { ["-t", $0] } ?? []
      let child = try ChildProcess.spawn(
        try program("mount"),
        arguments: ["-i"] + type + ["-o", options.joined(separator: ","), loop.path]
          + [request.mountpoint],
        environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"],
        descriptors: [(2, errors.writer.rawValue)])
      close(errors.writer.release())
      let text = String(decoding: try errors.reader.readAll(limit: 65536), as: UTF8.self)
      guard try child.wait() == .exited(0) else {
        throw VolumeError(
          .inputOutput,
          "cannot mount the file system inside \(request.volume) on \(request.mountpoint): "
            + text.split(separator: "\n").joined(separator: " "),
          advice: "Make one first: attach the volume and run mkfs on a loop device over it.")
      }
    } catch let error as SystemError {
      throw VolumeError(.inputOutput, "cannot mount \(request.volume): \(error)")
    } catch {
      throw error as? VolumeError ?? VolumeError(.internalFailure, "\(error)")
    }
  }

  /// A directory for the decrypted image that only root can reach.
  private static func makeHiddenDirectory() throws(VolumeError) -> String {
    let parent = try AttachmentDirectory.own()
    let path = "\(parent)/\(AttachmentID.random())"
    guard mkdir(path, 0o700) == 0 else {
      throw VolumeError(.inputOutput, "\(SystemError.current("mkdir", path))")
    }
    return path
  }

  private static func checkDirectory(_ path: String) throws(VolumeError) {
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw VolumeError(.badMountpoint, "\(SystemError.current("stat", path))")
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw VolumeError(.badMountpoint, "\(path) is not a directory")
    }
    try MountpointCheck.requireFree(path)
  }

  static func program(_ name: String) throws(VolumeError) -> String {
    if let path = ProgramFile.find(name) { return path }
    throw VolumeError(.inputOutput, "\(name) is not installed")
  }
}
