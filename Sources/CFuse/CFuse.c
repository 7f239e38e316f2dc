#define _GNU_SOURCE
#include "CFuse.h"

#include <errno.h>
#include <linux/fuse.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static _Thread_local void *thread_state;

void *coffer_fuse_thread_state(void) { return thread_state; }

void coffer_fuse_set_thread_state(void *state) { thread_state = state; }

// What the calling thread wants beyond libfuse's part of INIT; 0 again when it has been asked for.
static _Thread_local uint64_t wanted_flags;
static _Thread_local uint64_t agreed_flags;

static ssize_t receive(int fd, void *memory, size_t size, void *data) {
  (void)data;
  ssize_t count = read(fd, memory, size);
  const struct fuse_in_header *header = memory;
  const struct fuse_init_in *init = (const struct fuse_init_in *)(header + 1);
  if (wanted_flags == 0 || count < (ssize_t)(sizeof(*header) + sizeof(*init))) return count;
  if (header->opcode == FUSE_INIT && init->flags & FUSE_INIT_EXT)
    agreed_flags = wanted_flags & (init->flags | (uint64_t)init->flags2 << 32);
  return count;
}

static ssize_t answer(int fd, struct iovec *parts, int count, void *data) {
  (void)data;
  if (wanted_flags != 0 && count == 2 && parts[1].iov_len == sizeof(struct fuse_init_out)) {
    struct fuse_init_out *init = parts[1].iov_base;
    if (agreed_flags != 0) init->flags |= FUSE_INIT_EXT | (uint32_t)agreed_flags;
    init->flags2 |= (uint32_t)(agreed_flags >> 32);
    wanted_flags = 0;
  }
  return writev(fd, parts, count);
}

int coffer_fuse_take_connection(struct fuse_session *session, int fd, uint64_t wanted) {
  static const struct fuse_custom_io io = {.read = receive, .writev = answer};
  wanted_flags = wanted;
  agreed_flags = 0;
  return fuse_session_custom_io(session, &io, fd);
}

uint64_t coffer_fuse_agreed(void) { return agreed_flags; }

int coffer_fuse_reply_open(fuse_req_t request, uint32_t flags) {
  struct fuse_open_out reply = {.open_flags = flags};
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
