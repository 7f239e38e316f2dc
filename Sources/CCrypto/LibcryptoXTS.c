#define _GNU_SOURCE
#include "LibcryptoXTS.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { most_slots = 64 };

// An EVP context serves one thread at a time, so the cipher owns as many as there are processors
// and a call borrows one. They end with the cipher: contexts kept per thread would outlive its key.
struct slot {
  _Alignas(64) atomic_bool busy;
  EVP_CIPHER_CTX *context;
};

struct coffer_evp_xts {
  size_t slots;
  struct slot encrypting[most_slots];
  struct slot decrypting[most_slots];
};

static EVP_CIPHER_CTX *keyed_context(const EVP_CIPHER *algorithm, const uint8_t *key, int encrypt) {
  EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
  if (context != NULL && EVP_CipherInit_ex2(context, algorithm, key, NULL, encrypt, NULL) != 1) {
    EVP_CIPHER_CTX_free(context);
    return NULL;
  }
  return context;
}

struct coffer_evp_xts *coffer_evp_xts_create(const uint8_t *key, size_t key_bytes) {
  struct coffer_evp_xts *cipher = aligned_alloc(_Alignof(struct coffer_evp_xts), sizeof *cipher);
  if (cipher == NULL) return NULL;
  *cipher = (struct coffer_evp_xts){0};
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  cipher->slots = processors < 1 ? 1 : processors > most_slots ? most_slots : (size_t)processors;

  ERR_set_mark();
  EVP_CIPHER *algorithm =
      EVP_CIPHER_fetch(NULL, key_bytes == 32 ? "AES-128-XTS" : "AES-256-XTS", NULL);
  bool complete =
      algorithm != NULL && (size_t)EVP_CIPHER_get_key_length(algorithm) == key_bytes;
  for (size_t i = 0; complete && i < cipher->slots; i++) {
    cipher->encrypting[i].context = keyed_context(algorithm, key, 1);
    cipher->decrypting[i].context = keyed_context(algorithm, key, 0);
    complete = cipher->encrypting[i].context != NULL && cipher->decrypting[i].context != NULL;
  }
  EVP_CIPHER_free(algorithm);
  ERR_pop_to_mark();
  if (complete) return cipher;
  coffer_evp_xts_destroy(cipher);
  return NULL;
}

void coffer_evp_xts_destroy(struct coffer_evp_xts *cipher) {
  for (size_t i = 0; i < cipher->slots; i++) {
    EVP_CIPHER_CTX_free(cipher->encrypting[i].context);
    EVP_CIPHER_CTX_free(cipher->decrypting[i].context);
  }
  free(cipher);
}

// Each thread starts at a slot of its own, so that threads seldom meet.
static size_t first_choice(void) {
  static atomic_size_t threads;
  static _Thread_local size_t own;
  if (own == 0) own = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) + 1;
  return own;
}

static struct slot *borrow(struct slot *slots, size_t count) {
  for (size_t i = first_choice() % count, tried = 1;; i = (i + 1) % count, tried++) {
    if (!atomic_exchange_explicit(&slots[i].busy, true, memory_order_acquire)) return &slots[i];
    if (tried % count == 0) sched_yield();
  }
}

static void run(
    struct slot *slots, size_t slot_count, uint8_t *destination, const uint8_t *source,
    size_t sector_count, size_t sector_size, uint64_t tweak, uint64_t tweak_step) {
  struct slot *slot = borrow(slots, slot_count);
  for (size_t i = 0; i < sector_count; i++) {
    uint8_t iv[16] = {0};
    for (int byte = 0; byte < 8; byte++) iv[byte] = (uint8_t)(tweak >> 8 * byte);
    int written = 0;
    // With a keyed context and whole blocks there is no way to fail; going on would leave plaintext
    // where ciphertext belongs.
    if (EVP_CipherInit_ex2(slot->context, NULL, NULL, iv, -1, NULL) != 1 ||
        EVP_CipherUpdate(slot->context, destination, &written, source, (int)sector_size) != 1 ||
        (size_t)written != sector_size)
      abort();
    destination += sector_size;
    source += sector_size;
    tweak += tweak_step;
  }
  atomic_store_explicit(&slot->busy, false, memory_order_release);
}

void coffer_evp_xts_encrypt(
    const struct coffer_evp_xts *cipher, void *destination, const void *source,
    size_t sector_count, size_t sector_size, uint64_t first_tweak, uint64_t tweak_step) {
  run((struct slot *)cipher->encrypting, cipher->slots, destination, source, sector_count,
      sector_size, first_tweak, tweak_step);
}

void coffer_evp_xts_decrypt(
    const struct coffer_evp_xts *cipher, void *destination, const void *source,
    size_t sector_count, size_t sector_size, uint64_t first_tweak, uint64_t tweak_step) {
  run((struct slot *)cipher->decrypting, cipher->slots, destination, source, sector_count,
      sector_size, first_tweak, tweak_step);
}
