// A key that was copied is still in the vector registers that carried it, and the dynamic linker writes
// those to the stack when it resolves the next function. So both are cleared.
#define _GNU_SOURCE
#include <string.h>

#include "CSecretMemory.h"

__attribute__((noinline)) static void wipe_stack(void) {
  unsigned char used[64 * 1024];
  explicit_bzero(used, sizeof(used));
}

#if defined(__x86_64__)

#define CLEAR_XMM(n) "pxor %%xmm" #n ", %%xmm" #n "\n"
#define CLEAR_ZMM(n) "vpxord %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n"

__attribute__((noinline)) static void wipe_registers(void) {
  if (__builtin_cpu_supports("avx512f")) {
    __asm__ volatile(
        "vzeroall\n" CLEAR_ZMM(16) CLEAR_ZMM(17) CLEAR_ZMM(18) CLEAR_ZMM(19) CLEAR_ZMM(20)
            CLEAR_ZMM(21) CLEAR_ZMM(22) CLEAR_ZMM(23) CLEAR_ZMM(24) CLEAR_ZMM(25) CLEAR_ZMM(26)
                CLEAR_ZMM(27) CLEAR_ZMM(28) CLEAR_ZMM(29) CLEAR_ZMM(30) CLEAR_ZMM(31)::
                    : "memory");
  } else if (__builtin_cpu_supports("avx")) {
    __asm__ volatile("vzeroall" ::: "memory");
  } else {
    __asm__ volatile(
        CLEAR_XMM(0) CLEAR_XMM(1) CLEAR_XMM(2) CLEAR_XMM(3) CLEAR_XMM(4) CLEAR_XMM(5) CLEAR_XMM(6)
            CLEAR_XMM(7) CLEAR_XMM(8) CLEAR_XMM(9) CLEAR_XMM(10) CLEAR_XMM(11) CLEAR_XMM(12)
                CLEAR_XMM(13) CLEAR_XMM(14) CLEAR_XMM(15)::
                    : "memory");
  }
}

#elif defined(__aarch64__)

#define CLEAR_V(n) "movi v" #n ".16b, #0\n"

// v8 to v15 belong to the caller.
__attribute__((noinline)) static void wipe_registers(void) {
  __asm__ volatile(
      CLEAR_V(0) CLEAR_V(1) CLEAR_V(2) CLEAR_V(3) CLEAR_V(4) CLEAR_V(5) CLEAR_V(6) CLEAR_V(7)
          CLEAR_V(16) CLEAR_V(17) CLEAR_V(18) CLEAR_V(19) CLEAR_V(20) CLEAR_V(21) CLEAR_V(22)
              CLEAR_V(23) CLEAR_V(24) CLEAR_V(25) CLEAR_V(26) CLEAR_V(27) CLEAR_V(28) CLEAR_V(29)
                  CLEAR_V(30) CLEAR_V(31)::
                      : "memory");
}

#else

static void wipe_registers(void) {}

#endif

void coffer_wipe_leftovers(void) {
  wipe_registers();
  wipe_stack();
}
