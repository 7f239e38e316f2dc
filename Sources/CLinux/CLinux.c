#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

int coffer_ofd_lock(int fd, short type) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
  return fcntl(fd, F_OFD_SETLK, &lock);
}

int coffer_ofd_lock_conflicts(int fd, short type) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
  if (fcntl(fd, F_OFD_GETLK, &lock) != 0) return -1;
  return lock.l_type != F_UNLCK;
}

int coffer_peer_credentials(int fd, pid_t *pid, uid_t *uid, gid_t *gid) {
  struct ucred peer;
  socklen_t length = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -1;
  *pid = peer.pid;
  *uid = peer.uid;
  *gid = peer.gid;
  return 0;
}

int coffer_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int coffer_spawn_close_from(posix_spawn_file_actions_t *actions, int first) {
  return posix_spawn_file_actions_addclosefrom_np(actions, first);
}

int coffer_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int coffer_pidfd_send_signal(int pidfd, int signal) {
  return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, (void *)0, 0);
}

int coffer_block_device_size(int fd, uint64_t *bytes) { return ioctl(fd, BLKGETSIZE64, bytes); }

int coffer_allocate_blocks(int fd, uint64_t offset, uint64_t length) {
  return fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
}

int coffer_bypass_page_cache(int fd, uint32_t *alignment) {
  struct statx status;
  *alignment = 0;
  if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 && status.stx_mask & STATX_DIOALIGN)
    *alignment = status.stx_dio_offset_align;
  int flags = fcntl(fd, F_GETFL);
  return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_DIRECT);
}

ssize_t coffer_read_cached(int fd, void *memory, size_t count, off_t offset) {
  struct iovec part = {.iov_base = memory, .iov_len = count};
  return preadv2(fd, &part, 1, offset, RWF_NOWAIT);
}

int coffer_set_not_dumpable(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

int coffer_set_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }

int coffer_set_io_flusher(void) { return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0); }

int coffer_set_parent_death_signal(int signal) {
  return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0);
}

void coffer_syslog(int priority, const char *message) { syslog(priority, "%s", message); }

int coffer_loop_attach(int file, int read_only, const char *label, int *number) {
  int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) return -1;
  int device = -1;
  // Another process may take the free device between the two calls.
  for (int attempt = 0; attempt < 64; attempt++) {
    *number = ioctl(control, LOOP_CTL_GET_FREE);
    if (*number < 0) break;
    char path[32];
    snprintf(path, sizeof(path), "/dev/loop%d", *number);
    device = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (device < 0) break;
    struct loop_config config = {
        .fd = (__u32)file,
        .info = {.lo_flags = LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY : 0)}};
    strncpy((char *)config.info.lo_file_name, label, LO_NAME_SIZE - 1);
    if (ioctl(device, LOOP_CONFIGURE, &config) == 0) break;
    int reason = errno;
    close(device);
    device = -1;
    errno = reason;
    if (reason != EBUSY) break;
  }
  int reason = errno;
  close(control);
  errno = reason;
  return device;
}

int coffer_loop_status(int loop, uint32_t *major_number, uint32_t *minor_number, char *label) {
  struct loop_info64 info;
  if (ioctl(loop, LOOP_GET_STATUS64, &info) != 0) return -1;
  // The kernel encodes it as new_encode_dev does, whose layout makedev(3) shares.
  *major_number = major(info.lo_device);
  *minor_number = minor(info.lo_device);
  memcpy(label, info.lo_file_name, LO_NAME_SIZE);
  label[LO_NAME_SIZE - 1] = 0;
  return 0;
}

static int unix_address(struct sockaddr_un *address, const char *path) {
  memset(address, 0, sizeof(*address));
  address->sun_family = AF_UNIX;
  if (strlen(path) >= sizeof(address->sun_path)) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address->sun_path, path);
  return 0;
}

int coffer_unix_connect(int socket, const char *path) {
  struct sockaddr_un address;
  if (unix_address(&address, path) != 0) return -1;
  return connect(socket, (struct sockaddr *)&address, sizeof(address));
}

int coffer_unix_bind(int socket, const char *path) {
  struct sockaddr_un address;
  if (unix_address(&address, path) != 0) return -1;
  return bind(socket, (struct sockaddr *)&address, sizeof(address));
}

int coffer_enter_mount_namespace(int fd) { return setns(fd, CLONE_NEWNS); }

int coffer_rename_exclusively(const char *old_path, const char *new_path) {
  return renameat2(AT_FDCWD, old_path, AT_FDCWD, new_path, RENAME_NOREPLACE);
}
