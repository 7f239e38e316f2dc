// AES-XTS (IEEE 1619) over runs of sectors, by the processor's AES instructions.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// An implementation for one set of instructions.
enum coffer_xts_kernel {
  /// x86-64 AES-NI: 128-bit vectors.
  coffer_xts_aesni,
  /// x86-64 VAES, VPCLMULQDQ and AVX2: 256-bit vectors.
  coffer_xts_vaes256,
  /// x86-64 VAES, VPCLMULQDQ and AVX-512 F and BW: 512-bit vectors.
  coffer_xts_vaes512,
  /// Armv8-A's cryptographic extension.
  coffer_xts_arm64,
};

/// Whether this processor has the kernel's instructions and the system saves their registers.
bool coffer_xts_available(enum coffer_xts_kernel kernel);

/// A kernel with a key schedule, which lies in locked memory that core dumps leave out.
/// Any number of threads may use it at once.
struct coffer_xts;

/// `kernel` is available; `key` is both AES keys, the data key first: 32 bytes for AES-128, 64 for
/// AES-256. NULL when the memory cannot be had or locked, with the reason in errno.
struct coffer_xts *coffer_xts_create(
    enum coffer_xts_kernel kernel, const uint8_t *key, size_t key_bytes);

/// Wipes and frees. No call may be running.
void coffer_xts_destroy(struct coffer_xts *cipher);

/// Encrypts `sector_count` sectors of `sector_size` bytes, a multiple of 512. The tweak of sector i
/// is the little-endian 64-bit number `first_tweak + i * tweak_step` modulo 2^64, and 64 zero bits.
/// `source` equals `destination` or the two are disjoint; any alignment.
void coffer_xts_encrypt(
    const struct coffer_xts *cipher, void *destination, const void *source, size_t sector_count,
    size_t sector_size, uint64_t first_tweak, uint64_t tweak_step);

/// Decrypts; otherwise as `coffer_xts_encrypt`.
void coffer_xts_decrypt(
    const struct coffer_xts *cipher, void *destination, const void *source, size_t sector_count,
    size_t sector_size, uint64_t first_tweak, uint64_t tweak_step);
