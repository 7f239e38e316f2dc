#if defined(__x86_64__)
#include <immintrin.h>

#include "Kernels.h"

#define KERNEL __attribute__((target("avx2,vaes,vpclmulqdq")))
#define LANES 2
#define VECTORS 4

typedef __m256i vector;
typedef struct {
  vector of[VECTORS];
} tweaks;

INLINE vector load(const uint8_t *at) { return _mm256_loadu_si256((const __m256i *)at); }
INLINE void store(uint8_t *at, vector x) { _mm256_storeu_si256((__m256i *)at, x); }
INLINE vector xor2(vector a, vector b) { return _mm256_xor_si256(a, b); }

INLINE vector repeat(const uint8_t *block) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)block));
}

INLINE vector round_of(vector x, vector key, int r, int rounds, bool encrypting) {
  (void)rounds;
  if (r == 0) return xor2(x, key);
  return encrypting ? _mm256_aesenc_epi128(x, key) : _mm256_aesdec_epi128(x, key);
}

INLINE vector finish(vector x, vector key, bool encrypting) {
  return encrypting ? _mm256_aesenclast_epi128(x, key) : _mm256_aesdeclast_epi128(x, key);
}

// x^128 = x^7 + x^2 + x + 1
INLINE vector modulus(void) { return _mm256_set1_epi64x(0x87); }

// Each lane times x^bits: `bits` holds a count below 64 in both halves of a lane.
INLINE vector times_x_to(vector t, vector bits) {
  vector carry = _mm256_srlv_epi64(t, _mm256_sub_epi64(_mm256_set1_epi64x(64), bits));
  vector low = xor2(_mm256_sllv_epi64(t, bits), _mm256_bslli_epi128(carry, 8));
  return xor2(low, _mm256_clmulepi64_epi128(carry, modulus(), 0x01));
}

INLINE void first_tweaks(tweaks *t, const uint8_t *start) {
  vector t0 = repeat(start);
#pragma unroll
  for (int i = 0; i < VECTORS; i++)
    t->of[i] = times_x_to(t0, _mm256_set_epi64x(2 * i + 1, 2 * i + 1, 2 * i, 2 * i));
}

INLINE vector advanced(vector t) {
  vector carry = _mm256_bsrli_epi128(t, 15);
  return xor2(
      _mm256_bslli_epi128(t, 1), _mm256_clmulepi64_epi128(carry, modulus(), 0x00));
}

INLINE void next_tweaks(tweaks *next, const tweaks *t) {
#pragma unroll
  for (int i = 0; i < VECTORS; i++) next->of[i] = advanced(t->of[i]);
}

INLINE vector tweak(const tweaks *t, int i) { return t->of[i]; }

// They are in registers only.
INLINE void forget(tweaks *t) { (void)t; }

INLINE void counters(vector x[VECTORS], uint64_t first, uint64_t step) {
#pragma unroll
  for (uint64_t i = 0; i < VECTORS; i++)
    x[i] = _mm256_set_epi64x(
        0, (long long)(first + (2 * i + 1) * step), 0, (long long)(first + 2 * i * step));
}

INLINE void together(vector x[VECTORS]) {
  __asm__("" : "+x"(x[0]), "+x"(x[1]), "+x"(x[2]), "+x"(x[3]));
}

INLINE void wipe_registers(void) { _mm256_zeroall(); }

#include "KernelBody.h"

DEFINE_TRANSFORM(coffer_xts_encrypt_vaes256, true)
DEFINE_TRANSFORM(coffer_xts_decrypt_vaes256, false)
#endif
