// AES-XTS over runs of sectors through libcrypto's EVP interface.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// A keyed cipher that any number of threads may use at once.
struct coffer_evp_xts;

/// `key` is both AES keys, the data key first: 32 bytes for AES-128, 64 for AES-256.
/// NULL when libcrypto has no such cipher, refuses the key, or memory is short.
struct coffer_evp_xts *coffer_evp_xts_create(const uint8_t *key, size_t key_bytes);

/// Wipes and frees. No call may be running.
void coffer_evp_xts_destroy(struct coffer_evp_xts *cipher);

/// `sector_count` sectors of `sector_size` bytes. The tweak of sector i is the little-endian 64-bit
/// number `first_tweak + i * tweak_step` modulo 2^64, and 64 zero bits.
/// `source` equals `destination` or the two are disjoint.
void coffer_evp_xts_encrypt(
    const struct coffer_evp_xts *cipher, void *destination, const void *source,
    size_t sector_count, size_t sector_size, uint64_t first_tweak, uint64_t tweak_step);

/// As `coffer_evp_xts_encrypt`.
void coffer_evp_xts_decrypt(
    const struct coffer_evp_xts *cipher, void *destination, const void *source,
    size_t sector_count, size_t sector_size, uint64_t first_tweak, uint64_t tweak_step);
