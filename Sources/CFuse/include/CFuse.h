// libfuse's low-level interface, and what Swift cannot do by itself around it.
#pragma once

// Here, not in the package's settings: those do not reach a module that Swift imports.
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
#include <stdint.h>

/// What the calling thread set last; NULL at first.
void *coffer_fuse_thread_state(void);
void coffer_fuse_set_thread_state(void *state);

/// Answers OPEN for a file that stays in the page cache between opens. `direct`: no page cache for
/// this descriptor, and direct writes through it run in parallel, a flag that libfuse 3.14 does
/// not know and the kernel honours only together with FOPEN_DIRECT_IO.
int coffer_fuse_reply_open(fuse_req_t request, int direct);

/// Makes SIGTERM, SIGINT and SIGHUP write a byte to `fd`, in whatever thread they arrive, and
/// ignores SIGPIPE. Once per process at a time.
void coffer_fuse_catch_signals(int fd);

/// Puts back what coffer_fuse_catch_signals replaced.
void coffer_fuse_release_signals(void);

/// Receives the one descriptor that fusermount3 sends over a Unix socket; -1 when it sent none.
int coffer_fuse_receive_descriptor(int socket);
