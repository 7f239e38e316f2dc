// libcryptsetup, and what Swift cannot import from it.
#pragma once

#include <libcryptsetup.h>

/// CRYPT_PBKDF_NO_BENCHMARK: the macro casts, so Swift does not see it.
static const uint32_t coffer_crypt_pbkdf_no_benchmark = CRYPT_PBKDF_NO_BENCHMARK;
