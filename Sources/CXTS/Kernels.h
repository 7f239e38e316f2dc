// What the kernels share.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "CXTS.h"

enum { block_bytes = 16, most_rounds = 14 };

/// The round keys of one AES key: 11 for AES-128, 15 for AES-256.
typedef uint8_t key_schedule[most_rounds + 1][block_bytes];

typedef void transform(
    const struct coffer_xts *cipher, uint8_t *destination, const uint8_t *source,
    size_t sector_count, size_t sector_size, uint64_t first_tweak, uint64_t tweak_step);

struct coffer_xts {
  _Alignas(64) key_schedule encrypting;
  /// For the equivalent inverse cipher (FIPS 197, section 5.3.5).
  key_schedule decrypting;
  /// Encrypts the tweaks, in both directions.
  key_schedule tweaking;
  int rounds;
  transform *encrypt, *decrypt;
};

/// Fills the schedules and the number of rounds. `key` has 32 or 64 bytes.
void coffer_xts_expand_key(struct coffer_xts *cipher, const uint8_t *key, size_t key_bytes);

transform coffer_xts_encrypt_aesni, coffer_xts_decrypt_aesni;
transform coffer_xts_encrypt_vaes256, coffer_xts_decrypt_vaes256;
transform coffer_xts_encrypt_vaes512, coffer_xts_decrypt_vaes512;
transform coffer_xts_encrypt_arm64, coffer_xts_decrypt_arm64;

/// KERNEL is a kernel's attribute that allows its instructions.
#define INLINE KERNEL static inline __attribute__((always_inline))

/// Clears memory in a way that the optimiser keeps; inlined, unlike explicit_bzero(3).
static inline void wipe(void *memory, size_t count) {
  memset(memory, 0, count);
  __asm__ volatile("" : : "r"(memory) : "memory");
}
