import CFuse
import Glibc
import HostSystem
import SystemPackage

/// fusermount3(1), the set-user-ID program through which ordinary users mount FUSE file systems.
enum Fusermount {
  /// Mounts and returns the descriptor of the FUSE connection.
  static func mount(
    at mountpoint: String, options: [String]
  ) throws(ImageMountError) -> Descriptor {
    var ends: [Int32] = [-1, -1]
    guard
      socketpair(
        AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0
    else {
      throw ImageMountError(.systemFailure, "\(SystemError.current("socketpair"))")
    }
    let ours = Descriptor(adopting: ends[0])
    let theirs = Descriptor(adopting: ends[1])
    let (status, complaint) = try run(
      ["-o", options.joined(separator: ","), "--", mountpoint],
      environment: ["_FUSE_COMMFD=3"], socket: theirs.rawValue)
    // Ours is the only reference to their end now: without a message this does not block.
    _ = theirs.release().closed()
    let number = status == .exited(0) ? coffer_fuse_receive_descriptor(ours.rawValue) : -1
    guard number >= 0 else { throw failure(complaint, "mount", mountpoint) }
    return Descriptor(adopting: number)
  }

  static func unmount(_ mountpoint: String, lazily: Bool) throws(ImageMountError) {
    let (status, complaint) = try run(
      ["-u"] + (lazily ? ["-z"] : []) + ["--", mountpoint], environment: [], socket: nil)
    guard status == .exited(0) else { throw failure(complaint, "unmount", mountpoint) }
  }

  /// The text of a value inside an option: fusermount3 takes a backslash as an escape.
  static func escaped(_ value: String) -> String {
    value.replacing(#"\"#, with: #"\\"#).replacing(",", with: #"\,"#)
  }

  private static func run(
    _ arguments: [String], environment: [String], socket: Int32?
  ) throws(ImageMountError) -> (ExitStatus, String) {
    guard let program = ProgramFile.find("fusermount3") else {
      throw ImageMountError(
        .noFusermount, "fusermount3 is not installed, and only root can mount without it",
        advice: "Install it: apt-get install fuse3")
    }
    do {
      var errors = try Pipe.make()
      var descriptors: [(child: Int32, ours: Int32)] = [(2, errors.writer.rawValue)]
      if let socket { descriptors.append((3, socket)) }
      let child = try ChildProcess.spawn(
        program, arguments: arguments, environment: environment + ["PATH=/usr/bin:/bin:/sbin"],
        descriptors: descriptors)
      errors.writer = try Descriptor.open("/dev/null", O_RDONLY)
      let complaint = try errors.reader.readAll(limit: 65536)
      let status = try child.wait()
      return (status, String(decoding: complaint, as: UTF8.self))
    } catch {
      throw ImageMountError(.systemFailure, "cannot run fusermount3: \(error)")
    }
  }

  /// What fusermount3 wrote to standard error, as an error of ours: it has no exit codes to tell by.
  private static func failure(
    _ complaint: String, _ action: String, _ mountpoint: String
  ) -> ImageMountError {
    let text = complaint.split(separator: "\n").joined(separator: "; ")
    let message = "\(mountpoint): cannot \(action): \(text.isEmpty ? "fusermount3 failed" : text)"
    if text.contains("user_allow_other") {
      return ImageMountError(
        .allowOtherForbidden, message,
        advice: "Ask the administrator for the line `user_allow_other` in /etc/fuse.conf, "
          + "or leave allow_other out.")
    }
    if text.contains("/dev/fuse: Permission denied") {
      return ImageMountError(
        .noFuseDevice, message,
        advice: "Ask the administrator to let users open the device: chmod 666 /dev/fuse")
    }
    if text.contains("fuse device not found") || text.contains("/dev/fuse") {
      return ImageMountError(.noFuseDevice, message, advice: FuseDevice.advice)
    }
    if text.contains("busy") {
      return action == "unmount" ? Mountpoint.busy(mountpoint) : ImageMountError(.busy, message)
    }
    let refusals = ["ermission denied", "not permitted", "no write access", "not owned"]
    if refusals.contains(where: text.contains) {
      return ImageMountError(
        .permissionDenied, message, advice: "The directory must be yours and writable for you.")
    }
    return ImageMountError(.systemFailure, message)
  }
}

extension Int32 {
  /// close(2) of a descriptor that nobody owns.
  fileprivate func closed() -> Int32 { close(self) }
}
