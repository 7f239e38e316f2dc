// Every block that this process frees is cleared first. Keys pass through buffers that are not ours
// (libcurl, libcrypto, libcryptsetup, SQLite, Swift's strings and arrays); none of them promises to
// wipe. Defining free and realloc in the program takes precedence over the C library's for all of
// them ("Replacing malloc" in the glibc manual); allocation itself stays the C library's.
#define _GNU_SOURCE
#include <malloc.h>
#include <stddef.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COFFER_SANITIZED 1
#endif
#endif

#if !defined(COFFER_SANITIZED)

extern void *__libc_malloc(size_t);
extern void __libc_free(void *);

void free(void *block) {
  if (block == NULL) return;
  explicit_bzero(block, malloc_usable_size(block));
  __libc_free(block);
}

void *realloc(void *block, size_t size) {
  if (block == NULL) return __libc_malloc(size);
  if (size == 0) {
    free(block);
    return NULL;
  }
  size_t usable = malloc_usable_size(block);
  if (size <= usable && size >= usable / 2) return block;
  void *moved = __libc_malloc(size);
  if (moved == NULL) return NULL;
  memcpy(moved, block, size < usable ? size : usable);
  free(block);
  return moved;
}

#endif
