import Glibc

/// Where Coffer's programs are.
public enum ProgramFile {
  /// The directory of the running program, without symbolic links; nil where /proc is missing.
  public static var ownDirectory: String? {
    guard let resolved = realpath("/proc/self/exe", nil) else { return nil }
    defer { free(resolved) }
    let path = String(cString: resolved)
    guard let slash = path.lastIndex(of: "/") else { return nil }
    return String(path[..<slash])
  }

  /// The program `name`: beside this one, or where programs of its kind are installed.
  public static func find(_ name: String) -> String? {
    let places = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    return ((ownDirectory.map { [$0] } ?? []) + places)
      .map { "\($0)/\(name)" }
      .first { access($0, X_OK) == 0 }
  }
}
