import Glibc

/// Path names as users give them.
public enum PathName {
  /// The path from the root; symbolic links stay.
  public static func absolute(_ path: String) -> String {
    if path.hasPrefix("/") { return path }
    guard let directory = getcwd(nil, 0) else { return path }
    defer { free(directory) }
    return "\(String(cString: directory))/\(path)"
  }

  /// The path from the root without symbolic links. The last component may be missing, or be a mount whose
  /// server is dead and that answers nothing.
  public static func resolved(_ path: String) throws(SystemError) -> String {
    if let whole = realpath(path, nil) {
      defer { free(whole) }
      return String(cString: whole)
    }
    let error = SystemError.current("realpath", path)
    var trimmed = absolute(path)[...]
    while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
    guard let slash = trimmed.lastIndex(of: "/") else { throw error }
    let last = trimmed[trimmed.index(after: slash)...]
    let parent = slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    guard !last.isEmpty, last != "..", last != ".", let directory = realpath(parent, nil) else {
      throw error
    }
    defer { free(directory) }
    let base = String(cString: directory)
    return base == "/" ? "/\(last)" : "\(base)/\(last)"
  }
}
