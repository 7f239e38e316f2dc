#define _GNU_SOURCE
#include <string.h>

#include "CSecretMemory.h"

void coffer_wipe(void *memory, size_t count) { explicit_bzero(memory, count); }

int coffer_equal_in_constant_time(const void *a, const void *b, size_t count) {
  const unsigned char *x = a, *y = b;
  volatile unsigned char difference = 0;
  for (size_t i = 0; i < count; i++) difference |= x[i] ^ y[i];
  return difference == 0;
}
