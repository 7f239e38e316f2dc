#define _GNU_SOURCE
#include "CFuse.h"

#include <errno.h>
#include <linux/fuse.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static _Thread_local void *thread_state;

void *coffer_fuse_thread_state(void) { return thread_state; }

void coffer_fuse_set_thread_state(void *state) { thread_state = state; }

int coffer_fuse_reply_open(fuse_req_t request, int direct) {
  struct fuse_open_out reply = {.open_flags = FOPEN_KEEP_CACHE};
  if (direct) reply.open_flags |= FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;
  return fuse_reply_buf(request, (const char *)&reply, sizeof(reply));
}

static const int caught[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
enum { caught_count = sizeof(caught) / sizeof(caught[0]) };
static struct sigaction replaced[caught_count];
static volatile sig_atomic_t signal_fd = -1;

static void on_signal(int number) {
  (void)number;
  int saved = errno;
  int fd = signal_fd;
  if (fd >= 0) {
    ssize_t ignored = write(fd, "s", 1);
    (void)ignored;
  }
  errno = saved;
}

void coffer_fuse_catch_signals(int fd) {
  signal_fd = fd;
  for (int i = 0; i < caught_count; i++) {
    struct sigaction action = {.sa_handler = caught[i] == SIGPIPE ? SIG_IGN : on_signal,
                               .sa_flags = SA_RESTART};
    sigaction(caught[i], &action, &replaced[i]);
  }
}

void coffer_fuse_release_signals(void) {
  for (int i = 0; i < caught_count; i++) sigaction(caught[i], &replaced[i], NULL);
  signal_fd = -1;
}

int coffer_fuse_receive_descriptor(int socket) {
  char byte;
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message = {
      .msg_iov = &data,
      .msg_iovlen = 1,
      .msg_control = control.space,
      .msg_controllen = sizeof(control.space),
  };
  ssize_t received;
  do {
    received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received <= 0) return -1;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int)))
    return -1;
  int fd;
  memcpy(&fd, CMSG_DATA(header), sizeof(fd));
  return fd;
}
