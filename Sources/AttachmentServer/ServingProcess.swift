import Attachment
import BlockImage
import CLinux
import Glibc
import HostSystem
import ImageMount
import KeyManager
import LUKS
import SecretMemory
import SectorCipher
public import VolumeAPI

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The process that serves one attached volume: fetches the key, unlocks the image, mounts it, and answers
/// until it is unmounted.
public enum ServingProcess {
  /// Serves the request that comes on standard input, and says on the readiness pipe when the image can be
  /// used, or why it cannot. Returns the exit status of the process.
  public static func runInBackground() async -> Int32 {
    let pipe = Descriptor(adopting: ReadinessReport.descriptor)
    _ = fcntl(ReadinessReport.descriptor, F_SETFD, FD_CLOEXEC)
    let attachment: LiveAttachment
    do throws(VolumeError) {
      attachment = try await LiveAttachment.open(try readRequest(), notice: log) {
        ReadinessReport.isUnwanted(pipe)
      }
    } catch {
      try? ReadinessReport.failed(error).send(on: pipe)
      return 1
    }
    do {
      try ReadinessReport.attached(attachment.status).send(on: pipe)
    } catch {
      await attachment.abandon()
      return 1
    }
    close(pipe.release())
    // From here on nobody reads standard error.
    let null = open("/dev/null", O_RDWR)
    dup2(null, STDERR_FILENO)
    close(null)
    do throws(VolumeError) {
      try await attachment.serve()
      return 0
    } catch {
      log(error.message)
      return 1
    }
  }

  @Sendable private static func log(_ text: String) {
    coffer_syslog(LOG_WARNING, "mount.coffer: \(text)")
  }

  /// As `runInBackground`, with reports on standard error.
  public static func runInForeground() async throws(VolumeError) {
    let attachment = try await LiveAttachment.open(
      try readRequest(), notice: { StandardError.print("mount.coffer: \($0)") },
      isUnwanted: { false })
    let status = attachment.status
    for notice in status.notices { StandardError.print("mount.coffer: \(notice)") }
    StandardError.print("mount.coffer: \(status.volume) is attached at \(status.mountpoint)")
    try await attachment.serve()
  }

  private static func readRequest() throws(VolumeError) -> AttachmentRequest {
    do {
      let input = Descriptor(adopting: dup(STDIN_FILENO))
      let bytes = try input.readAll(limit: 1 << 20)
      return try JSONDecoder().decode(AttachmentRequest.self, from: Data(bytes))
    } catch {
      throw VolumeError(
        .invalidRequest, "no request on standard input",
        advice: "coffer attach and mount -t coffer start this process as it needs.")
    }
  }
}
