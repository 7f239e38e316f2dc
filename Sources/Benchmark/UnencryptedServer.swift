internal import BlockImage
internal import Glibc
internal import HostSystem
internal import ImageMount
internal import SectorCipher

/// Serves an image as `mount.coffer` does, but with a cipher that only copies: what a volume would reach if
/// encryption cost nothing.
///
/// No volume can be served so by mistake or on purpose: the image is a new file that has no name, made here, and
/// ends with the process. The programs that serve volumes do not link this module.
public enum UnencryptedServer {
  /// Mounts, prints `ready` on standard output, and serves until standard input ends.
  ///
  /// - Parameters:
  ///   - mountpoint: an empty directory; the file in it is `volume`.
  ///   - directory: where the image without a name is made.
  ///   - size: the decrypted size in bytes, a multiple of 4096.
  public static func run(mountpoint: String, directory: String, size: UInt64) throws {
    guard
      let geometry = BlockGeometry(dataOffset: 16 << 20, size: size, sectorSize: 4096)
    else { throw BenchmarkError(.invalidRequest, "\(size) bytes is no size of a volume") }
    let image = BlockImage(
      descriptor: try unnamedFile(in: directory, size: geometry.dataOffset + size),
      geometry: geometry, cipher: copyingCipher(sectorSize: geometry.sectorSize), readOnly: false)
    do {
      let mount = try ImageMount.mount(
        image, ImageMountOptions(mountpoint: mountpoint, sourceName: "benchmark"))
      PlainThread.start {
        var byte: UInt8 = 0
        while read(STDIN_FILENO, &byte, 1) > 0 || errno == EINTR { errno = 0 }
        mount.requestUnmount()
      }
      print("ready")
      fflush(nil)
      try mount.serve()
    } catch {
      throw BenchmarkError(.failed, error.message, advice: error.advice)
    }
  }

  private static func unnamedFile(
    in directory: String, size: UInt64
  ) throws(SystemError) -> Descriptor {
    var template = "\(directory)/image-XXXXXX".utf8CString.map { $0 }
    let number = try retrying("mkstemp", directory) { mkstemp(&template) }
    let file = Descriptor(adopting: number)
    unlink(template)
    _ = try retrying("ftruncate", directory) { ftruncate(number, off_t(size)) }
    return file
  }

  private static func copyingCipher(sectorSize: Int) -> SectorCipher {
    let copy: KeyedKernel.Transform = { _, destination, source, count, sectorSize, _, _ in
      guard let destination, let source, destination != source else { return }
      memcpy(destination, source, count * sectorSize)
    }
    // The functions use no context; it only has to be a pointer.
    let context = OpaquePointer(UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1))
    let keyed = KeyedKernel(
      context: context, encrypt: copy, decrypt: copy,
      destroy: { UnsafeMutableRawPointer($0)?.deallocate() })
    return SectorCipher(untested: keyed, named: .libcrypto, sectorSize: sectorSize)
  }
}
