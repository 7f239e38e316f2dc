// The body of every kernel. Before including it, a kernel defines
//   KERNEL                       the function attribute that allows its instructions
//   vector, LANES                a vector and the number of blocks in it
//   VECTORS                      the vectors of a group, which are in flight together
//   load, store, xor2            at any alignment
//   repeat(block)                the block in each lane
//   round_of(x, key, r, rounds, encrypting)
//                                round r of 0 ..< rounds, whatever the instructions count as one
//   finish(x, key, encrypting)   what is left, with the last round key
//   together(x)                  an empty asm statement with all of x as in-out operands
//   counters(x, first, step)     x[i] lane j = first + (LANES i + j) step, 64 bits
//   tweaks                       the tweaks of one group
//   first_tweaks(t, start)       t's block i = start times x^i in GF(2^128)
//   next_tweaks(next, t)         next's block i = t's block i times x^(LANES VECTORS)
//   tweak(t, i)                  the tweaks of the group's vector i
//   forget(t), wipe_registers()
//
// The tweak of a sector's block j is E(tweak key, sector's tweak) times x^j (IEEE 1619, section
// 5.2). All blocks of a group take a round before one takes the next, or the AES pipeline would run
// empty; `together` keeps the compiler from another order. Tweaks are made a group ahead, by
// instructions that run beside the AES ones.

enum {
  group_blocks = LANES * VECTORS,
  group_bytes = group_blocks * block_bytes,
  vector_bytes = LANES * block_bytes,
  /// Sectors whose tweaks are encrypted at once.
  batch = 32,
};

_Static_assert(512 % (2 * group_bytes) == 0, "groups come in pairs");
_Static_assert(batch % group_blocks == 0, "tweaks are encrypted a group at a time");

/// All but the last round.
INLINE void rounds_of(
    vector x[VECTORS], const key_schedule schedule, int rounds, bool encrypting) {
#pragma unroll
  for (int r = 0; r < rounds; r++) {
    vector key = repeat(schedule[r]);
#pragma unroll
    for (int i = 0; i < VECTORS; i++) x[i] = round_of(x[i], key, r, rounds, encrypting);
    together(x);
  }
}

INLINE void encrypt_tweaks(
    const key_schedule schedule, uint8_t starts[batch][block_bytes], size_t count, uint64_t tweak,
    uint64_t step, int rounds) {
  for (size_t done = 0; done < count; done += group_blocks) {
    vector x[VECTORS];
    counters(x, tweak + done * step, step);
    rounds_of(x, schedule, rounds, true);
#pragma unroll
    for (int i = 0; i < VECTORS; i++)
      store(starts[done + LANES * i], finish(x[i], repeat(schedule[rounds]), true));
  }
}

/// One group with the tweaks `t`. `next` becomes the first tweaks of a sector that begins with
/// `start`, or where that is NULL those that follow on `t`.
INLINE void group(
    uint8_t *destination, const uint8_t *source, const tweaks *t, tweaks *next,
    const uint8_t *start, const key_schedule schedule, int rounds, bool encrypting) {
  vector x[VECTORS];
#pragma unroll
  for (int i = 0; i < VECTORS; i++) x[i] = xor2(load(source + i * vector_bytes), tweak(t, i));
  if (start == NULL)
    next_tweaks(next, t);
  else
    first_tweaks(next, start);
  rounds_of(x, schedule, rounds, encrypting);
#pragma unroll
  for (int i = 0; i < VECTORS; i++) {
    vector last = xor2(repeat(schedule[rounds]), tweak(t, i));
    store(destination + i * vector_bytes, finish(x[i], last, encrypting));
  }
}

INLINE void run(
    const struct coffer_xts *cipher, uint8_t *destination, const uint8_t *source,
    size_t sector_count, size_t sector_size, uint64_t sector_tweak, uint64_t step, int rounds,
    bool encrypting) {
  const uint8_t(*schedule)[block_bytes] = encrypting ? cipher->encrypting : cipher->decrypting;
  _Alignas(64) uint8_t starts[batch][block_bytes];
  tweaks even, odd;
  while (sector_count > 0) {
    size_t count = sector_count < batch ? sector_count : batch;
    encrypt_tweaks(cipher->tweaking, starts, count, sector_tweak, step, rounds);
    first_tweaks(&even, starts[0]);
    for (size_t sector = 1; sector <= count; sector++) {
      // After the batch's last sector come tweaks that nobody uses.
      const uint8_t *following = sector < count ? starts[sector] : starts[0];
      for (size_t done = 0; done < sector_size; done += 2 * group_bytes) {
        const uint8_t *start = done + 2 * group_bytes < sector_size ? NULL : following;
        group(destination, source, &even, &odd, NULL, schedule, rounds, encrypting);
        source += group_bytes;
        destination += group_bytes;
        group(destination, source, &odd, &even, start, schedule, rounds, encrypting);
        source += group_bytes;
        destination += group_bytes;
      }
    }
    sector_tweak += count * step;
    sector_count -= count;
  }
  wipe(starts, sizeof starts);
  forget(&even);
  forget(&odd);
  wipe_registers();
}

#define DEFINE_TRANSFORM(name, encrypting)                                                      \
  KERNEL void name(                                                                             \
      const struct coffer_xts *cipher, uint8_t *destination, const uint8_t *source,             \
      size_t sector_count, size_t sector_size, uint64_t first_tweak, uint64_t tweak_step) {     \
    if (cipher->rounds == 14)                                                                   \
      run(cipher, destination, source, sector_count, sector_size, first_tweak, tweak_step, 14,  \
          encrypting);                                                                          \
    else                                                                                        \
      run(cipher, destination, source, sector_count, sector_size, first_tweak, tweak_step, 10,  \
          encrypting);                                                                          \
  }
