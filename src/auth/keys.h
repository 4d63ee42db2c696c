/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that tokens are signed with, and libjose's verdict on a signature.
 *
 * A key is good for one algorithm (RFC 7518 §3.1), which is fixed where the key is configured: shared secrets for HS, RSA keys
 * for RS and PS, keys on P-256 and P-384 for ES256 and ES384.  A key of one kind never meets an algorithm of another,
 * so a public key is never taken for a secret.
 *
 * Filled at start or when a key set has been fetched, then immutable: any thread may verify.  Counted, because the
 * configurations that follow each other share them. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"
#include <jansson.h>
#include <stdbool.h>

#define TD_KEYS_MAX       32
#define TD_KEY_SECRET_MAX 1024
#define TD_KEY_KID_MAX    256
/* The longest text of public keys that is read: a PEM, a JWK, or a set of them. */
#define TD_KEY_TEXT_MAX ((size_t)64 * 1024)
#define TD_KEY_RSA_MIN  2048 /* bits (RFC 7518 §3.3) */
#define TD_KEY_RSA_MAX  8192 /* a longer one makes each forged token costly */

struct td_keys;

struct td_key {
    struct td_slice alg; /* HS256, HS384, HS512, RS256 … PS512, ES256 or ES384 */
    struct td_slice kid; /* empty: the key answers to every `kid`, and to none */
    struct td_slice
        secret; /* of HS: at least as long as the hash: 32, 48, 64 bytes (RFC 7518 §3.2) */
};

/* NULL when memory is out. */
struct td_keys *td_keys_new(void);
/* References are counted behind the back of const. */
const struct td_keys *td_keys_ref(const struct td_keys *keys);
/* NULL is fine. */
void td_keys_unref(const struct td_keys *keys);
size_t td_keys_len(const struct td_keys *keys);

/* Whether there is an algorithm of that name. */
bool td_alg_valid(struct td_slice name);
/* Whether it signs with a shared secret. */
bool td_alg_is_secret(struct td_slice name);

/* Copies the key of a shared secret.  0; or TD_EINVAL with `*reason` a static sentence: unknown algorithm, a secret that is too
 * short or long, too many keys; or -ENOMEM. */
TD_MUST_USE int td_keys_add(struct td_keys *keys, const struct td_key *key, const char **reason);

/* Which keys of a text are taken, and for what. */
struct td_key_choice {
    const struct td_slice
        *algs; /* those allowed; a key that does not say its own gets the first that fits it */
    size_t n_algs;
    struct td_slice
        kid; /* of a set: only the key of this name; of a single key: its name; empty: as the text says */
};

/* Adds the public keys of a text: a PEM (`-----BEGIN PUBLIC KEY-----`), a JWK or a set of JWKs (RFC 7517).  Of a set, keys that can't be
 * used are left out: other uses and algorithms, secrets (a document that others may read is no place for them), RSA below
 * TD_KEY_RSA_MIN.  Private parts are never kept.
 * 0 when at least one was added; or TD_EINVAL with `*reason` a static sentence, or -ENOMEM; nothing was added then. */
TD_MUST_USE int td_keys_add_text(struct td_keys *keys, struct td_slice text,
                                 const struct td_key_choice *choice, const char **reason);

/* The three parts of a compact JWS (RFC 7515 §7.1), as they stand there. */
struct td_jws {
    struct td_slice header, payload, signature;
};

enum td_verdict {
    TD_SIGNED,       /* by a key with that alg and kid */
    TD_SIGNED_WRONG, /* there are such keys, and none made it */
    TD_SIGNED_NONE,  /* there is no such key */
};

/* Whether there is a key that td_keys_sign could use. */
bool td_keys_can_sign(const struct td_keys *keys);
/* `kid` NULL: the token names none, and all keys of that algorithm are tried. */
enum td_verdict td_keys_verify(const struct td_keys *keys, const char *alg, const char *kid,
                               const struct td_jws *jws);
/* Appends a compact JWS of that payload by the first key that is a secret.  0, TD_EINVAL when there is none, -ENOMEM, or the
 * error of the buffer. */
TD_MUST_USE int td_keys_sign(const struct td_keys *keys, const char *payload, struct td_buf *out);

/* For jwk.c: adds a checked JWK, whose reference is taken over.  The kinds of keys, as JWKs name them. */
enum td_key_kind { TD_KEY_OCT, TD_KEY_RSA, TD_KEY_P256, TD_KEY_P384 };
/* Whether the algorithm works with keys of that kind. */
bool td_alg_fits(struct td_slice name, enum td_key_kind kind);
TD_MUST_USE int td_keys_put(struct td_keys *keys, struct td_slice alg, struct td_slice kid,
                            json_t *jwk, const char **reason);
/* Takes the last keys out, down to `n`. */
void td_keys_cut(struct td_keys *keys, size_t n);
