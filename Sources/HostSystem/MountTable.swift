import Glibc

/// A line of `/proc/self/mountinfo` (proc(5)).
public struct MountEntry: Sendable, Equatable {
  /// `major:minor` of the file system's device.
  public let device: String
  public let mountpoint: String
  /// For example `fuse.coffer`.
  public let type: String
  /// What was mounted, as given.
  public let source: String
  /// The file system's own options.
  public let superOptions: [String]

  /// The value of `NAME=value` among the file system's options.
  public func superOption(_ name: String) -> String? {
    superOptions.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
  }
}

public enum MountTable {
  /// The mounts that this process sees, oldest first: of two on one directory the later is on top.
  public static func read() throws(SystemError) -> [MountEntry] {
    let file = try Descriptor.open("/proc/self/mountinfo", O_RDONLY)
    let text = try file.readAll(limit: 64 << 20)
    return parse(String(decoding: text, as: UTF8.self))
  }

  /// The mount that is on top at `path`, an absolute path without symbolic links.
  public static func entry(at path: String) throws(SystemError) -> MountEntry? {
    try read().last { $0.mountpoint == path }
  }

  static func parse(_ text: String) -> [MountEntry] {
    text.split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ")
      guard let separator = fields.firstIndex(of: "-"), separator >= 6,
        fields.count >= separator + 4
      else { return nil }
      return MountEntry(
        device: String(fields[2]),
        mountpoint: unescape(fields[4]),
        type: unescape(fields[separator + 1]),
        source: unescape(fields[separator + 2]),
        superOptions: fields[separator + 3].split(separator: ",").map(unescape))
    }
  }

  /// The kernel writes space, tab, newline, backslash and `#` as three octal digits.
  private static func unescape(_ field: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Array(field.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), rest.count >= 3,
        let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
      {
        bytes.append(code)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
