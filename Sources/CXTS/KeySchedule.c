// AES key expansion (FIPS 197, section 5.2). The S-box is the processor's, so that no table is
// indexed by key bytes.
#include "Kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define KERNEL __attribute__((target("aes")))

KERNEL static uint32_t sub_word(uint32_t word) {
  // With four equal columns ShiftRows changes nothing.
  __m128i columns = _mm_set1_epi32((int)word);
  return (uint32_t)_mm_cvtsi128_si32(_mm_aesenclast_si128(columns, _mm_setzero_si128()));
}

KERNEL static void inverse_mix_columns(uint8_t *out, const uint8_t *in) {
  _mm_storeu_si128((__m128i *)out, _mm_aesimc_si128(_mm_loadu_si128((const __m128i *)in)));
}

#elif defined(__aarch64__)
#include <arm_neon.h>
#define KERNEL __attribute__((target("aes")))

KERNEL static uint32_t sub_word(uint32_t word) {
  // With four equal columns ShiftRows changes nothing.
  uint8x16_t columns = vreinterpretq_u8_u32(vdupq_n_u32(word));
  return vgetq_lane_u32(vreinterpretq_u32_u8(vaeseq_u8(columns, vdupq_n_u8(0))), 0);
}

KERNEL static void inverse_mix_columns(uint8_t *out, const uint8_t *in) {
  vst1q_u8(out, vaesimcq_u8(vld1q_u8(in)));
}
#endif

#if defined(__x86_64__) || defined(__aarch64__)

static void expand(const uint8_t *key, size_t key_words, int rounds, key_schedule schedule) {
  uint32_t words[4 * (most_rounds + 1)];
  size_t count = 4 * ((size_t)rounds + 1);
  memcpy(words, key, 4 * key_words);
  uint32_t round_constant = 1;
  for (size_t i = key_words; i < count; i++) {
    uint32_t word = words[i - 1];
    if (i % key_words == 0) {
      word = sub_word(word >> 8 | word << 24) ^ round_constant;
      // Beyond 0x80 only AES-128 goes on, with 0x1B and 0x36.
      round_constant = round_constant << 1 ^ (round_constant >> 7) * 0x11B;
    } else if (i % key_words == 4) {
      // AES-256 only: an AES-128 key has four words.
      word = sub_word(word);
    }
    words[i] = words[i - key_words] ^ word;
  }
  memcpy(schedule, words, 4 * count);
  wipe(words, sizeof words);
}

void coffer_xts_expand_key(struct coffer_xts *cipher, const uint8_t *key, size_t key_bytes) {
  size_t half = key_bytes / 2;
  int rounds = half == 32 ? 14 : 10;
  cipher->rounds = rounds;
  expand(key, half / 4, rounds, cipher->encrypting);
  expand(key + half, half / 4, rounds, cipher->tweaking);
  memcpy(cipher->decrypting[0], cipher->encrypting[rounds], block_bytes);
  for (int i = 1; i < rounds; i++)
    inverse_mix_columns(cipher->decrypting[i], cipher->encrypting[rounds - i]);
  memcpy(cipher->decrypting[rounds], cipher->encrypting[0], block_bytes);
}

#endif
