// libfuse's low-level interface, and what Swift cannot do by itself around it.
#pragma once

// Here, not in the package's settings: those do not reach a module that Swift imports.
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
#include <stdint.h>

/// What the calling thread set last; NULL at first.
void *coffer_fuse_thread_state(void);
void coffer_fuse_set_thread_state(void *state);

/// Flags of `fuse_init_in` that libfuse 3.14 does not know (include/uapi/linux/fuse.h of Linux 6.14):
/// FUSE_OVER_IO_URING and FUSE_DIRECT_IO_ALLOW_MMAP.
static const uint64_t coffer_fuse_over_io_uring = UINT64_C(1) << 41;
static const uint64_t coffer_fuse_direct_io_allow_mmap = UINT64_C(1) << 36;

/// Takes over the connection `fd`. When the calling thread processes the kernel's first request, INIT, it asks for
/// those of the `wanted` flags of `fuse_init_out` (flags2 in the upper half) that the kernel offers. 0 or -errno.
int coffer_fuse_take_connection(struct fuse_session *session, int fd, uint64_t wanted);

/// Which of the wanted flags the calling thread has asked for.
uint64_t coffer_fuse_agreed(void);

/// Answers OPEN with flags that libfuse 3.14 does not know (`FOPEN_` of linux/fuse.h).
int coffer_fuse_reply_open(fuse_req_t request, uint32_t flags);

/// Makes SIGTERM, SIGINT and SIGHUP write a byte to `fd`, in whatever thread they arrive, and
/// ignores SIGPIPE. Once per process at a time.
void coffer_fuse_catch_signals(int fd);

/// Puts back what coffer_fuse_catch_signals replaced.
void coffer_fuse_release_signals(void);

/// Receives the one descriptor that fusermount3 sends over a Unix socket; -1 when it sent none.
int coffer_fuse_receive_descriptor(int socket);
