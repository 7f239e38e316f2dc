import Glibc

/// The environment of a child that will hold keys: what it needs, and nothing else.
public enum ChildEnvironment {
  /// Those of `names` that are set here, as `NAME=value`, and `ProcessHardening.backtraceSetting`.
  public static func inheriting(_ names: [String]) -> [String] {
    var settings: [String] = []
    for name in names {
      if let value = getenv(name) { settings.append("\(name)=\(String(cString: value))") }
    }
    return settings + [ProcessHardening.backtraceSetting]
  }
}
