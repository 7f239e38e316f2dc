import HostSystem
package import VolumeAPI

package enum MountpointCheck {
  /// Throws when something is mounted on `path`, an absolute path without links.
  package static func requireFree(_ path: String) throws(VolumeError) {
    guard let entry = try? MountTable.entry(at: path) else { return }
    let isOurs = AttachmentDirectory.servedDevice(of: entry) != nil
    throw VolumeError(
      .badMountpoint,
      isOurs
        ? "a Coffer volume is mounted on \(path) already"
        : "something is mounted on \(path) already: \(entry.source) (\(entry.type))",
      advice: isOurs
        ? "Detach it first (coffer detach \(path)), or choose another directory."
        : "Choose another directory.")
  }
}
