#define _GNU_SOURCE
#include "CXTS.h"

#include <errno.h>
#include <sys/mman.h>

#include "Kernels.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

bool coffer_xts_available(enum coffer_xts_kernel kernel) {
#if defined(__x86_64__)
  bool vector_aes = __builtin_cpu_supports("vaes") && __builtin_cpu_supports("vpclmulqdq");
  switch (kernel) {
    case coffer_xts_aesni:
      return __builtin_cpu_supports("aes");
    case coffer_xts_vaes256:
      return vector_aes && __builtin_cpu_supports("avx2");
    case coffer_xts_vaes512:
      return vector_aes && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
    case coffer_xts_arm64:
      return false;
  }
#elif defined(__aarch64__)
  enum { hwcap_aes = 1 << 3, hwcap_pmull = 1 << 4 };
  unsigned long needed = hwcap_aes | hwcap_pmull;
  return kernel == coffer_xts_arm64 && (getauxval(AT_HWCAP) & needed) == needed;
#endif
  return false;
}

static void choose(struct coffer_xts *cipher, enum coffer_xts_kernel kernel) {
  switch (kernel) {
#if defined(__x86_64__)
    case coffer_xts_aesni:
      cipher->encrypt = coffer_xts_encrypt_aesni;
      cipher->decrypt = coffer_xts_decrypt_aesni;
      break;
    case coffer_xts_vaes256:
      cipher->encrypt = coffer_xts_encrypt_vaes256;
      cipher->decrypt = coffer_xts_decrypt_vaes256;
      break;
    case coffer_xts_vaes512:
      cipher->encrypt = coffer_xts_encrypt_vaes512;
      cipher->decrypt = coffer_xts_decrypt_vaes512;
      break;
#elif defined(__aarch64__)
    case coffer_xts_arm64:
      cipher->encrypt = coffer_xts_encrypt_arm64;
      cipher->decrypt = coffer_xts_decrypt_arm64;
      break;
#endif
    default:
      break;
  }
}

struct coffer_xts *coffer_xts_create(
    enum coffer_xts_kernel kernel, const uint8_t *key, size_t key_bytes) {
  if (!coffer_xts_available(kernel)) {
    errno = ENOTSUP;
    return NULL;
  }
  struct coffer_xts *cipher = mmap(
      NULL, sizeof *cipher, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (cipher == MAP_FAILED) return NULL;
  if (mlock(cipher, sizeof *cipher) != 0) {
    int reason = errno;
    munmap(cipher, sizeof *cipher);
    errno = reason;
    return NULL;
  }
  madvise(cipher, sizeof *cipher, MADV_DONTDUMP);
  choose(cipher, kernel);
#if defined(__x86_64__) || defined(__aarch64__)
  coffer_xts_expand_key(cipher, key, key_bytes);
#endif
  return cipher;
}

void coffer_xts_destroy(struct coffer_xts *cipher) {
  wipe(cipher, sizeof *cipher);
  munmap(cipher, sizeof *cipher);
}

void coffer_xts_encrypt(
    const struct coffer_xts *cipher, void *destination, const void *source, size_t sector_count,
    size_t sector_size, uint64_t first_tweak, uint64_t tweak_step) {
  cipher->encrypt(
      cipher, destination, source, sector_count, sector_size, first_tweak, tweak_step);
}

void coffer_xts_decrypt(
    const struct coffer_xts *cipher, void *destination, const void *source, size_t sector_count,
    size_t sector_size, uint64_t first_tweak, uint64_t tweak_step) {
  cipher->decrypt(
      cipher, destination, source, sector_count, sector_size, first_tweak, tweak_step);
}
