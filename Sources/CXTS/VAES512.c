#if defined(__x86_64__)
#include <immintrin.h>

#include "Kernels.h"

#define KERNEL __attribute__((target("avx512f,avx512bw,vaes,vpclmulqdq")))
#define LANES 4
#define VECTORS 4

typedef __m512i vector;
typedef struct {
  vector of[VECTORS];
} tweaks;

INLINE vector load(const uint8_t *at) { return _mm512_loadu_si512(at); }
INLINE void store(uint8_t *at, vector x) { _mm512_storeu_si512(at, x); }
INLINE vector xor2(vector a, vector b) { return _mm512_xor_si512(a, b); }

INLINE vector repeat(const uint8_t *block) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)block));
}

INLINE vector round_of(vector x, vector key, int r, int rounds, bool encrypting) {
  (void)rounds;
  if (r == 0) return xor2(x, key);
  return encrypting ? _mm512_aesenc_epi128(x, key) : _mm512_aesdec_epi128(x, key);
}

INLINE vector finish(vector x, vector key, bool encrypting) {
  return encrypting ? _mm512_aesenclast_epi128(x, key) : _mm512_aesdeclast_epi128(x, key);
}

// x^128 = x^7 + x^2 + x + 1
INLINE vector modulus(void) { return _mm512_set1_epi64(0x87); }

// Each lane times x^bits: `bits` holds a count below 64 in both halves of a lane.
INLINE vector times_x_to(vector t, vector bits) {
  vector carry = _mm512_srlv_epi64(t, _mm512_sub_epi64(_mm512_set1_epi64(64), bits));
  vector low = xor2(_mm512_sllv_epi64(t, bits), _mm512_bslli_epi128(carry, 8));
  return xor2(low, _mm512_clmulepi64_epi128(carry, modulus(), 0x01));
}

#define TIMES_X_TO_BYTES(t, bytes)                  \
  xor2(                                             \
      _mm512_bslli_epi128(t, bytes),                \
      _mm512_clmulepi64_epi128(_mm512_bsrli_epi128(t, 16 - (bytes)), modulus(), 0x00))

INLINE void first_tweaks(tweaks *t, const uint8_t *start) {
  vector t0 = repeat(start);
  t->of[0] = times_x_to(t0, _mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0));
  t->of[1] = times_x_to(t0, _mm512_set_epi64(7, 7, 6, 6, 5, 5, 4, 4));
  t->of[2] = TIMES_X_TO_BYTES(t->of[0], 1);
  t->of[3] = TIMES_X_TO_BYTES(t->of[1], 1);
}

INLINE vector advanced(vector t) { return TIMES_X_TO_BYTES(t, 2); }

INLINE void next_tweaks(tweaks *next, const tweaks *t) {
#pragma unroll
  for (int i = 0; i < VECTORS; i++) next->of[i] = advanced(t->of[i]);
}

INLINE vector tweak(const tweaks *t, int i) { return t->of[i]; }

// They are in registers only.
INLINE void forget(tweaks *t) { (void)t; }

INLINE void counters(vector x[VECTORS], uint64_t first, uint64_t step) {
  x[0] = _mm512_set_epi64(
      0, (long long)(first + 3 * step), 0, (long long)(first + 2 * step), 0,
      (long long)(first + step), 0, (long long)first);
  vector four_steps = _mm512_maskz_set1_epi64(0x55, (long long)(4 * step));
#pragma unroll
  for (int i = 1; i < VECTORS; i++) x[i] = _mm512_add_epi64(x[i - 1], four_steps);
}

INLINE void together(vector x[VECTORS]) {
  __asm__("" : "+v"(x[0]), "+v"(x[1]), "+v"(x[2]), "+v"(x[3]));
}

INLINE void wipe_registers(void) {
  __asm__ volatile(
      "vzeroall\n\t"
      "vpxord %%zmm16, %%zmm16, %%zmm16\n\tvpxord %%zmm17, %%zmm17, %%zmm17\n\t"
      "vpxord %%zmm18, %%zmm18, %%zmm18\n\tvpxord %%zmm19, %%zmm19, %%zmm19\n\t"
      "vpxord %%zmm20, %%zmm20, %%zmm20\n\tvpxord %%zmm21, %%zmm21, %%zmm21\n\t"
      "vpxord %%zmm22, %%zmm22, %%zmm22\n\tvpxord %%zmm23, %%zmm23, %%zmm23\n\t"
      "vpxord %%zmm24, %%zmm24, %%zmm24\n\tvpxord %%zmm25, %%zmm25, %%zmm25\n\t"
      "vpxord %%zmm26, %%zmm26, %%zmm26\n\tvpxord %%zmm27, %%zmm27, %%zmm27\n\t"
      "vpxord %%zmm28, %%zmm28, %%zmm28\n\tvpxord %%zmm29, %%zmm29, %%zmm29\n\t"
      "vpxord %%zmm30, %%zmm30, %%zmm30\n\tvpxord %%zmm31, %%zmm31, %%zmm31"
      :
      :
      : "zmm0", "zmm1", "zmm2", "zmm3", "zmm4", "zmm5", "zmm6", "zmm7", "zmm8", "zmm9", "zmm10",
        "zmm11", "zmm12", "zmm13", "zmm14", "zmm15", "zmm16", "zmm17", "zmm18", "zmm19", "zmm20",
        "zmm21", "zmm22", "zmm23", "zmm24", "zmm25", "zmm26", "zmm27", "zmm28", "zmm29", "zmm30",
        "zmm31");
}

#include "KernelBody.h"

DEFINE_TRANSFORM(coffer_xts_encrypt_vaes512, true)
DEFINE_TRANSFORM(coffer_xts_decrypt_vaes512, false)
#endif
