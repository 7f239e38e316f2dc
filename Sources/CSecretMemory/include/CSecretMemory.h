// Memory for secrets: what the C library does not promise by itself.
#pragma once

#include <stddef.h>

/// explicit_bzero(3): clears memory in a way that the optimiser keeps.
void coffer_wipe(void *memory, size_t count);

/// Clears what functions that have returned left behind: the 64 KiB of stack below the caller, and the vector
/// registers that belong to nobody across calls.
void coffer_wipe_leftovers(void);

/// Compares without a data-dependent branch. 1 when equal, 0 when not.
int coffer_equal_in_constant_time(const void *a, const void *b, size_t count);
