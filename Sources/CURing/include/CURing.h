// liburing, as far as Swift needs it, and the kernel's interface of FUSE over io_uring.
#pragma once

#include <linux/fuse.h>
#include <stddef.h>
#include <stdint.h>

// FUSE over io_uring came with Linux 6.14; older copies of <linux/fuse.h> lack it. Names and values as in
// include/uapi/linux/fuse.h of that version (protocol 7.42).
#if FUSE_KERNEL_MINOR_VERSION < 42

/// What the kernel says of a request in a ring entry, and the server of its answer.
struct fuse_uring_ent_in_out {
  uint64_t flags;
  /// Names the request when it is committed.
  uint64_t commit_id;
  /// The bytes in the payload buffer, of the request or of the answer.
  uint32_t payload_sz;
  uint32_t padding;
  uint64_t reserved;
};

/// The first buffer of a ring entry.
struct fuse_uring_req_header {
  /// A `fuse_in_header`; of the answer, a `fuse_out_header`.
  char in_out[128];
  /// The operation's first argument, for instance a `fuse_read_in`.
  char op_in[128];
  struct fuse_uring_ent_in_out ring_ent_in_out;
};

#endif

/// A ring that hands out FUSE requests. Opened by any thread, then used by the one that started it.
typedef struct coffer_ring coffer_ring;

/// What has ended.
struct coffer_completion {
  uint64_t tag;
  /// 0 or more, or a negative errno.
  int32_t result;
};

/// Makes a ring with room for `depth` submissions at a time; `fuse` is the connection and `image` what
/// coffer_ring_read reads. NULL with errno set where the kernel has or permits none.
coffer_ring *coffer_ring_open(unsigned depth, int fuse, int image);

/// Lets the calling thread use the ring, and no other from then on. 0 or an errno.
int coffer_ring_start(coffer_ring *ring);

/// Cancels what is under way and frees the ring.
void coffer_ring_close(coffer_ring *ring);

// Each of these queues a submission; its completion carries `tag`. They only reach the kernel with
// coffer_ring_submit and coffer_ring_wait, in order.

/// Gives the kernel an entry of a queue: `buffers` are two `iovec`s, a `fuse_uring_req_header` and the payload's.
/// Completes with the first request.
void coffer_ring_register(coffer_ring *ring, unsigned queue, const void *buffers, uint64_t tag);

/// Answers the request `commit_id` of an entry of the queue. Completes with the next request of the entry, which
/// from now on arrives here, whichever ring it was registered with.
void coffer_ring_commit_and_fetch(coffer_ring *ring, unsigned queue, uint64_t commit_id,
                                  uint64_t tag);

/// Makes `tag` complete on another ring with 0; here only where that fails.
void coffer_ring_send(coffer_ring *ring, const coffer_ring *other, uint64_t tag);

/// Reads from the image.
void coffer_ring_read(coffer_ring *ring, void *memory, size_t count, uint64_t offset, uint64_t tag);

/// Completes when there is something to read from the descriptor.
void coffer_ring_watch(coffer_ring *ring, int descriptor, uint64_t tag);

/// Hands over what is queued.
void coffer_ring_submit(coffer_ring *ring);

/// Hands over what is queued and waits until something has completed. 0 or an errno.
int coffer_ring_wait(coffer_ring *ring);

/// Takes up to `capacity` completions; how many there were.
unsigned coffer_ring_take(coffer_ring *ring, struct coffer_completion *completions,
                          unsigned capacity);

/// Keeps the calling thread on one processor. 0 or an errno.
int coffer_stay_on_processor(unsigned number);

/// Locks the pages of a range once they are used, mlock2(2). 0 or an errno.
int coffer_lock_when_used(void *memory, size_t size);
