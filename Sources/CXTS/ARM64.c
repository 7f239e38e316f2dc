#if defined(__aarch64__)
#include <arm_neon.h>

#include "Kernels.h"

#define KERNEL __attribute__((target("aes")))
#define LANES 1
#define VECTORS 8

typedef uint8x16_t vector;
typedef struct {
  vector of[VECTORS];
} tweaks;

INLINE vector load(const uint8_t *at) { return vld1q_u8(at); }
INLINE void store(uint8_t *at, vector x) { vst1q_u8(at, x); }
INLINE vector xor2(vector a, vector b) { return veorq_u8(a, b); }
INLINE vector repeat(const uint8_t *block) { return load(block); }

// AESE adds its round key first, so each round has the key that x86's has one earlier, and the last
// key is left to `finish`.
INLINE vector round_of(vector x, vector key, int r, int rounds, bool encrypting) {
  x = encrypting ? vaeseq_u8(x, key) : vaesdq_u8(x, key);
  if (r == rounds - 1) return x;
  return encrypting ? vaesmcq_u8(x) : vaesimcq_u8(x);
}

INLINE vector finish(vector x, vector key, bool encrypting) {
  (void)encrypting;
  return xor2(x, key);
}

// `carry` times x^128 = x^7 + x^2 + x + 1; `carry` is a polynomial of degree below 64.
INLINE vector reduced(uint64x2_t carry, int lane) {
  poly64_t high = (poly64_t)(lane == 0 ? vgetq_lane_u64(carry, 0) : vgetq_lane_u64(carry, 1));
  return vreinterpretq_u8_p128(vmull_p64(high, 0x87));
}

INLINE void first_tweaks(tweaks *t, const uint8_t *start) {
  t->of[0] = load(start);
  uint64x2_t t0 = vreinterpretq_u64_u8(t->of[0]);
#pragma unroll
  for (int i = 1; i < VECTORS; i++) {
    // vshlq shifts right by a negative count.
    uint64x2_t carry = vshlq_u64(t0, vdupq_n_s64(i - 64));
    vector shifted = vreinterpretq_u8_u64(vshlq_u64(t0, vdupq_n_s64(i)));
    vector crossing = vextq_u8(vdupq_n_u8(0), vreinterpretq_u8_u64(carry), 8);
    t->of[i] = xor2(xor2(shifted, crossing), reduced(carry, 1));
  }
}

INLINE vector advanced(vector t) {
  vector zero = vdupq_n_u8(0);
  uint64x2_t carry = vreinterpretq_u64_u8(vextq_u8(t, zero, 15));
  return xor2(vextq_u8(zero, t, 15), reduced(carry, 0));
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
    x[i] = vreinterpretq_u8_u64(vsetq_lane_u64(first + i * step, vdupq_n_u64(0), 0));
}

INLINE void together(vector x[VECTORS]) {
  __asm__(""
          : "+w"(x[0]), "+w"(x[1]), "+w"(x[2]), "+w"(x[3]), "+w"(x[4]), "+w"(x[5]), "+w"(x[6]),
            "+w"(x[7]));
}

INLINE void wipe_registers(void) {
  __asm__ volatile(
      "movi v0.2d, #0\n\tmovi v1.2d, #0\n\tmovi v2.2d, #0\n\tmovi v3.2d, #0\n\t"
      "movi v4.2d, #0\n\tmovi v5.2d, #0\n\tmovi v6.2d, #0\n\tmovi v7.2d, #0\n\t"
      "movi v8.2d, #0\n\tmovi v9.2d, #0\n\tmovi v10.2d, #0\n\tmovi v11.2d, #0\n\t"
      "movi v12.2d, #0\n\tmovi v13.2d, #0\n\tmovi v14.2d, #0\n\tmovi v15.2d, #0\n\t"
      "movi v16.2d, #0\n\tmovi v17.2d, #0\n\tmovi v18.2d, #0\n\tmovi v19.2d, #0\n\t"
      "movi v20.2d, #0\n\tmovi v21.2d, #0\n\tmovi v22.2d, #0\n\tmovi v23.2d, #0\n\t"
      "movi v24.2d, #0\n\tmovi v25.2d, #0\n\tmovi v26.2d, #0\n\tmovi v27.2d, #0\n\t"
      "movi v28.2d, #0\n\tmovi v29.2d, #0\n\tmovi v30.2d, #0\n\tmovi v31.2d, #0"
      :
      :
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13",
        "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",
        "v27", "v28", "v29", "v30", "v31");
}

#include "KernelBody.h"

DEFINE_TRANSFORM(coffer_xts_encrypt_arm64, true)
DEFINE_TRANSFORM(coffer_xts_decrypt_arm64, false)
#endif
