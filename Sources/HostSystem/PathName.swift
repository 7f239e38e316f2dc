import Glibc

/// Path names as users give them.
public enum PathName {
  /// The path from the root; symbolic links and `..` stay, empty components and `.` go.
  public static func absolute(_ path: String) -> String {
    var whole = path
    if !path.hasPrefix("/") {
      guard let directory = getcwd(nil, 0) else { return path }
      defer { free(directory) }
      whole = "\(String(cString: directory))/\(path)"
    }
    return "/" + whole.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
  }

  /// The path from the root without symbolic links. The last component may be missing, or be a mount whose
  /// server is dead and that answers nothing.
  public static func resolved(_ path: String) throws(SystemError) -> String {
    if let whole = realpath(path, nil) {
      defer { free(whole) }
      return String(cString: whole)
    }
    let error = SystemError.current("realpath", path)
    let whole = absolute(path)
    guard let slash = whole.lastIndex(of: "/") else { throw error }
    let last = whole[whole.index(after: slash)...]
    let parent = slash == whole.startIndex ? "/" : String(whole[..<slash])
    guard !last.isEmpty, last != "..", let directory = realpath(parent, nil) else {
      throw error
    }
    defer { free(directory) }
    let base = String(cString: directory)
    return base == "/" ? "/\(last)" : "\(base)/\(last)"
  }
}
