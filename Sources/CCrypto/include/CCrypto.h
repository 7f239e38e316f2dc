// libcrypto, and what Swift cannot import from it.
#pragma once

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "LibcryptoXTS.h"
