#if defined(__x86_64__)
#include <immintrin.h>

#include "Kernels.h"

#define KERNEL __attribute__((target("aes")))
#define LANES 1
#define VECTORS 8

typedef __m128i vector;

// The integer units make the tweaks: shifts and PCLMULQDQ on vectors would take issue slots from
// AES. The two halves of a tweak are stored long before it is read as a vector.
typedef struct {
  uint64_t block[VECTORS][2];
  uint64_t following[2];
} tweaks;

INLINE vector load(const uint8_t *at) { return _mm_loadu_si128((const __m128i *)at); }
INLINE void store(uint8_t *at, vector x) { _mm_storeu_si128((__m128i *)at, x); }
INLINE vector xor2(vector a, vector b) { return _mm_xor_si128(a, b); }
INLINE vector repeat(const uint8_t *block) { return load(block); }

INLINE vector round_of(vector x, vector key, int r, int rounds, bool encrypting) {
  (void)rounds;
  if (r == 0) return xor2(x, key);
  return encrypting ? _mm_aesenc_si128(x, key) : _mm_aesdec_si128(x, key);
}

INLINE vector finish(vector x, vector key, bool encrypting) {
  return encrypting ? _mm_aesenclast_si128(x, key) : _mm_aesdeclast_si128(x, key);
}

// The first block is `low` and `high`, and each further one is the one before times x.
INLINE void fill(tweaks *t, uint64_t low, uint64_t high) {
#pragma unroll
  for (int i = 0; i < VECTORS; i++) {
    t->block[i][0] = low;
    t->block[i][1] = high;
    // x^128 = x^7 + x^2 + x + 1
    uint64_t carry = (0 - (high >> 63)) & 0x87;
    high = high << 1 | low >> 63;
    low = low << 1 ^ carry;
  }
  t->following[0] = low;
  t->following[1] = high;
  // Keeps the compiler from joining the halves in vector registers instead.
  __asm__("" : "+m"(*t));
}

INLINE void first_tweaks(tweaks *t, const uint8_t *start) {
  uint64_t halves[2];
  memcpy(halves, start, sizeof halves);
  fill(t, halves[0], halves[1]);
}

INLINE void next_tweaks(tweaks *next, const tweaks *t) {
  fill(next, t->following[0], t->following[1]);
}

INLINE vector tweak(const tweaks *t, int i) { return load((const uint8_t *)t->block[i]); }

INLINE void forget(tweaks *t) { wipe(t, sizeof *t); }

INLINE void counters(vector x[VECTORS], uint64_t first, uint64_t step) {
#pragma unroll
  for (uint64_t i = 0; i < VECTORS; i++) x[i] = _mm_set_epi64x(0, (long long)(first + i * step));
}

INLINE void together(vector x[VECTORS]) {
  __asm__(""
          : "+x"(x[0]), "+x"(x[1]), "+x"(x[2]), "+x"(x[3]), "+x"(x[4]), "+x"(x[5]), "+x"(x[6]),
            "+x"(x[7]));
}

INLINE void wipe_registers(void) {
  __asm__ volatile(
      "pxor %%xmm0, %%xmm0\n\tpxor %%xmm1, %%xmm1\n\tpxor %%xmm2, %%xmm2\n\t"
      "pxor %%xmm3, %%xmm3\n\tpxor %%xmm4, %%xmm4\n\tpxor %%xmm5, %%xmm5\n\t"
      "pxor %%xmm6, %%xmm6\n\tpxor %%xmm7, %%xmm7\n\tpxor %%xmm8, %%xmm8\n\t"
      "pxor %%xmm9, %%xmm9\n\tpxor %%xmm10, %%xmm10\n\tpxor %%xmm11, %%xmm11\n\t"
      "pxor %%xmm12, %%xmm12\n\tpxor %%xmm13, %%xmm13\n\tpxor %%xmm14, %%xmm14\n\t"
      "pxor %%xmm15, %%xmm15"
      :
      :
      : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

#include "KernelBody.h"

DEFINE_TRANSFORM(coffer_xts_encrypt_aesni, true)
DEFINE_TRANSFORM(coffer_xts_decrypt_aesni, false)
#endif
