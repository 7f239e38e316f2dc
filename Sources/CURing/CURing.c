#define _GNU_SOURCE
#include "CURing.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// include/uapi/linux/fuse.h of Linux 6.14: the commands, and what they carry in the submission.
enum { register_entry = 1, commit_and_fetch = 2 };
struct command {
  uint64_t flags;
  uint64_t commit_id;
  uint16_t qid;
  uint8_t padding[6];
};

enum { fuse_index, image_index };

struct coffer_ring {
  struct io_uring uring;
};

coffer_ring *coffer_ring_open(unsigned depth, int fuse, int image) {
  coffer_ring *ring = calloc(1, sizeof(*ring));
  if (ring == NULL) return NULL;
  // Only the thread that serves a ring touches it, and work for it waits until it asks.
  struct io_uring_params parameters = {
      .flags = IORING_SETUP_SQE128 | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
               IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
      .cq_entries = 4 * depth,
  };
  int result = io_uring_queue_init_params(depth, &ring->uring, &parameters);
  if (result < 0) {
    free(ring);
    errno = -result;
    return NULL;
  }
  const int files[] = {[fuse_index] = fuse, [image_index] = image};
  result = io_uring_register_files(&ring->uring, files, 2);
  if (result < 0) {
    coffer_ring_close(ring);
    errno = -result;
    return NULL;
  }
  return ring;
}

int coffer_ring_start(coffer_ring *ring) {
  // liburing 2.3 declares io_uring_enable_rings and does not export it.
  if (syscall(SYS_io_uring_register, ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
    return errno;
  // Saves a descriptor look-up per call; goes without.
  (void)io_uring_register_ring_fd(&ring->uring);
  return 0;
}

void coffer_ring_close(coffer_ring *ring) {
  io_uring_queue_exit(&ring->uring);
  free(ring);
}

static struct io_uring_sqe *next_submission(coffer_ring *ring) {
  struct io_uring_sqe *submission = io_uring_get_sqe(&ring->uring);
  while (submission == NULL) {
    io_uring_submit(&ring->uring);
    submission = io_uring_get_sqe(&ring->uring);
  }
  return submission;
}

static void prepare_command(coffer_ring *ring, unsigned operation, const void *buffers,
                            unsigned queue, uint64_t commit_id, uint64_t tag) {
  struct io_uring_sqe *submission = next_submission(ring);
  io_uring_prep_rw(IORING_OP_URING_CMD, submission, fuse_index, buffers, buffers ? 2 : 0, 0);
  submission->cmd_op = operation;
  submission->flags = IOSQE_FIXED_FILE;
  submission->user_data = tag;
  struct command *command = (struct command *)submission->cmd;
  memset(command, 0, sizeof(*command));
  command->qid = (uint16_t)queue;
  command->commit_id = commit_id;
}

void coffer_ring_register(coffer_ring *ring, unsigned queue, const void *buffers, uint64_t tag) {
  prepare_command(ring, register_entry, buffers, queue, 0, tag);
}

void coffer_ring_commit_and_fetch(coffer_ring *ring, unsigned queue, uint64_t commit_id,
                                  uint64_t tag) {
  prepare_command(ring, commit_and_fetch, NULL, queue, commit_id, tag);
}

void coffer_ring_send(coffer_ring *ring, const coffer_ring *other, uint64_t tag) {
  struct io_uring_sqe *submission = next_submission(ring);
  io_uring_prep_msg_ring(submission, other->uring.ring_fd, 0, tag, 0);
  submission->flags = IOSQE_CQE_SKIP_SUCCESS;
  submission->user_data = tag;
}

void coffer_ring_read(coffer_ring *ring, void *memory, size_t count, uint64_t offset,
                      uint64_t tag) {
  struct io_uring_sqe *submission = next_submission(ring);
  io_uring_prep_read(submission, image_index, memory, (unsigned)count, offset);
  submission->flags = IOSQE_FIXED_FILE;
  submission->user_data = tag;
}

void coffer_ring_watch(coffer_ring *ring, int descriptor, uint64_t tag) {
  struct io_uring_sqe *submission = next_submission(ring);
  io_uring_prep_poll_add(submission, descriptor, POLLIN);
  submission->user_data = tag;
}

void coffer_ring_submit(coffer_ring *ring) {
  if (io_uring_sq_ready(&ring->uring) > 0) io_uring_submit(&ring->uring);
}

int coffer_ring_wait(coffer_ring *ring) {
  int result = io_uring_submit_and_wait(&ring->uring, 1);
  return result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY ? -result : 0;
}

unsigned coffer_ring_take(coffer_ring *ring, struct coffer_completion *completions,
                          unsigned capacity) {
  unsigned head, count = 0;
  struct io_uring_cqe *entry;
  io_uring_for_each_cqe(&ring->uring, head, entry) {
    if (count == capacity) break;
    completions[count].tag = entry->user_data;
    completions[count].result = entry->res;
    count++;
  }
  io_uring_cq_advance(&ring->uring, count);
  return count;
}

int coffer_stay_on_processor(unsigned number) {
  if (number >= CPU_SETSIZE) return EINVAL;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(number, &set);
  return sched_setaffinity(0, sizeof(set), &set) == 0 ? 0 : errno;
}

int coffer_lock_when_used(void *memory, size_t size) {
  return mlock2(memory, size, MLOCK_ONFAULT) == 0 ? 0 : errno;
}
