public import VolumeAPI

/// The command line that mount(8) and umount(8) give to their helpers:
/// `mount.coffer VOLUME DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]` and
/// `umount.coffer DIR [-flnrv] [-N NAMESPACE] [-t TYPE]`.
public struct HelperArguments: Sendable, Equatable {
  public var operands: [String] = []
  /// `-o`, as often as it was given.
  public var options: [String] = []
  /// `-s`: pass over unknown options.
  public var sloppy = false
  /// `-f` of mount(8): check everything, mount nothing.
  public var fake = false
  /// `-l` of umount(8).
  public var lazy = false
  /// `-v`.
  public var verbose = false
  /// `-N`: a process number, or the path of a mount namespace.
  public var namespace: String?

  /// - Parameter unmounting: whether it is umount(8)'s helper that was called; there `-f` means force,
  ///   which a FUSE mount does not need.
  public init(_ arguments: [String], unmounting: Bool = false) throws(VolumeError) {
    var rest = arguments[...]
    var onlyOperands = false
    while let argument = rest.popFirst() {
      if onlyOperands || !argument.hasPrefix("-") || argument == "-" {
        operands.append(argument)
        continue
      }
      if argument == "--" {
        onlyOperands = true
        continue
      }
      var letters = argument.dropFirst()
      while let letter = letters.popFirst() {
        switch letter {
        case "s": sloppy = true
        case "f": fake = !unmounting
        case "l": lazy = true
        case "v": verbose = true
        case "n", "r": break
        case "o", "N", "t":
          // The value is the rest of the word, or the next one.
          guard let value = letters.isEmpty ? rest.popFirst() : String(letters) else {
            throw Self.usage("-\(letter) needs a value")
          }
          letters = ""
          if letter == "o" { options.append(value) }
          if letter == "N" { namespace = value }
        default:
          throw Self.usage("unknown flag -\(letter)")
        }
      }
    }
  }

  private static func usage(_ problem: String) -> VolumeError {
    VolumeError(.invalidRequest, problem, advice: usageText)
  }

  public static let usageText =
    "usage: mount.coffer VOLUME DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS]"

  /// The request of `mount.coffer VOLUME DIR -o …`.
  public func request() throws(VolumeError) -> AttachmentRequest {
    guard operands.count == 2 else { throw Self.usage("a volume and a directory are needed") }
    var request = AttachmentRequest(
      volume: operands[0], mountpoint: operands[1])
    for text in options { try MountOptions.apply(text, to: &request, sloppy: sloppy) }
    return request
  }
}
