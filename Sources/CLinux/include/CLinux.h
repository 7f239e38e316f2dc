// Linux system calls that Swift cannot import: variadic functions, macros and raw syscalls.
// Every function returns what the call returned and leaves the reason in errno.
#pragma once

#include <spawn.h>
#include <stdint.h>
#include <sys/types.h>

/// fcntl(2) F_OFD_SETLK over the whole file. `type` is F_RDLCK, F_WRLCK or F_UNLCK.
int coffer_ofd_lock(int fd, short type);

/// fcntl(2) F_OFD_GETLK: 1 when a lock of `type` would conflict, 0 when not, -1 on error.
int coffer_ofd_lock_conflicts(int fd, short type);

/// unix(7) SO_PEERCRED of a connected or accepted socket.
int coffer_peer_credentials(int fd, pid_t *pid, uid_t *uid, gid_t *gid);

/// pipe2(2) with O_CLOEXEC.
int coffer_pipe(int ends[2]);

/// posix_spawn_file_actions_addclosefrom_np(3).
int coffer_spawn_close_from(posix_spawn_file_actions_t *actions, int first);

/// pidfd_open(2).
int coffer_pidfd_open(pid_t pid);

/// pidfd_send_signal(2).
int coffer_pidfd_send_signal(int pidfd, int signal);

/// ioctl(2) BLKGETSIZE64: the size of a block device in bytes.
int coffer_block_device_size(int fd, uint64_t *bytes);

/// fallocate(2) with FALLOC_FL_KEEP_SIZE alone: gives the range blocks.
int coffer_allocate_blocks(int fd, uint64_t offset, uint64_t length);

/// fcntl(2): sets O_DIRECT. `alignment` is that of offsets and lengths in bytes, statx(2) STATX_DIOALIGN; 0 where
/// the file system does not tell.
int coffer_bypass_page_cache(int fd, uint32_t *alignment);

/// preadv2(2) with RWF_NOWAIT: EAGAIN where it would wait for the disk.
ssize_t coffer_read_cached(int fd, void *memory, size_t count, off_t offset);

/// prctl(2) PR_SET_DUMPABLE with 0: no core dump, no ptrace by the same user.
int coffer_set_not_dumpable(void);

/// prctl(2) PR_SET_NO_NEW_PRIVS.
int coffer_set_no_new_privileges(void);

/// prctl(2) PR_SET_IO_FLUSHER: memory reclaim must not wait for this process's own I/O.
int coffer_set_io_flusher(void);

/// prctl(2) PR_SET_PDEATHSIG.
int coffer_set_parent_death_signal(int signal);

/// syslog(3) with a fixed format.
void coffer_syslog(int priority, const char *message);

/// Attaches a file to a free loop device, loop(4), which detaches itself when its last user closes it.
/// `label`, of 63 bytes at most, is kept with it. Returns a descriptor of the loop device, which keeps it until
/// something has mounted it, and its number.
int coffer_loop_attach(int file, int read_only, const char *label, int *number);

/// LOOP_GET_STATUS64: the device number of the file system that holds the file behind a loop device, and
/// the label, into 64 bytes.
int coffer_loop_status(int loop, uint32_t *major, uint32_t *minor, char *label);

/// The name in a sockaddr_un and connect(2) or bind(2) with it: 0, or -1 with errno.
int coffer_unix_connect(int socket, const char *path);
int coffer_unix_bind(int socket, const char *path);

/// setns(2) with CLONE_NEWNS.
int coffer_enter_mount_namespace(int fd);

/// rename(2) RENAME_NOREPLACE: EEXIST when there is something at the new path, EINVAL where the file system
/// cannot do that.
int coffer_rename_exclusively(const char *old_path, const char *new_path);
