import SecretMemory
import VolumeAPI

/// A secret where a copyable value is needed: in an array, in a closure of a task.
final class SecretBox: Sendable {
  let bytes: SecretBytes

  init(_ bytes: consuming SecretBytes) {
    self.bytes = bytes
  }
}

extension [SecretBox] {
  func required(_ index: Int) throws(VolumeError) -> SecretBox {
    guard indices.contains(index) else {
      throw VolumeError(.internalFailure, "a worker got \(count) secrets, which are too few")
    }
    return self[index]
  }
}
