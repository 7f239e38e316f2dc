import Glibc
import HostSystem

/// What one thread needs to read and write a `BlockImage`: page-aligned working memory of its own, which
/// holds plaintext, and a place in the image's range locks.
// @unchecked: the memory and the slot have one owner, since the type is not copyable; an operation that
// borrows it must be the only one, which is what "one per thread" means.
public struct IOContext: ~Copyable, @unchecked Sendable {
  /// The longest request, in bytes, that is one read or one write of the image whatever its offset.
  public let capacity: Int
  /// Whether the memory is locked; when not, plaintext can reach the swap.
  public let isLocked: Bool
  let scratch: UnsafeMutableRawPointer
  /// `capacity` and a sector for a head and one for a tail.
  let scratchSize: Int
  let slot: RangeLocks.Slot
  private let image: BlockImage

  /// - Parameter capacity: a multiple of 4096, in bytes.
  /// - Throws: `mmap` (no memory), or EAGAIN when the image has `BlockImage.maximumContexts` already.
  static func make(for image: BlockImage, capacity: Int) throws(SystemError) -> IOContext {
    precondition(capacity > 0 && capacity % 4096 == 0)
    let size = capacity + 2 * 4096
    guard
      let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      memory != MAP_FAILED
    else { throw .current("mmap") }
    guard let slot = image.locks.takeSlot() else {
      munmap(memory, size)
      throw SystemError(.resourceTemporarilyUnavailable, call: "IOContext")
    }
    madvise(memory, size, MADV_DONTDUMP)
    let isLocked = mlock(memory, size) == 0
    return IOContext(
      capacity: capacity, isLocked: isLocked, scratch: memory, scratchSize: size, slot: slot,
      image: image)
  }

  private init(
    capacity: Int, isLocked: Bool, scratch: UnsafeMutableRawPointer, scratchSize: Int,
    slot: RangeLocks.Slot, image: BlockImage
  ) {
    self.capacity = capacity
    self.isLocked = isLocked
    self.scratch = scratch
    self.scratchSize = scratchSize
    self.slot = slot
    self.image = image
  }

  deinit {
    explicit_bzero(scratch, scratchSize)
    munmap(scratch, scratchSize)
    image.locks.giveBack(slot)
  }
}
