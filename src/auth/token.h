/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: compact JWS (RFC 7515 §3.1) that carry JWT claims (RFC 7519), verified by libjose.
 *
 * The key decides the algorithm, never the token: a header whose `alg` is not that of a configured key is refused
 * before any arithmetic, and nothing of the payload is looked at before the signature has been checked.
 * Of the header only `alg` and `kid` are used, as look-up words in the configured keys. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"
#include "base/units.h"
#include <stdbool.h>

#define TD_TOKEN_LEN_MAX      8192
#define TD_TOKEN_SUB_MAX      255 /* bytes of the claim `sub` */
#define TD_TOKEN_ROLES_MAX    64
#define TD_TOKEN_PATTERNS_MAX 256 /* in each list of the claim `tidings` */
#define TD_TOKEN_LEEWAY_MS    5000
#define TD_KEYS_MAX           32
#define TD_KEY_SECRET_MAX     1024
/* The `exp` of a token that never expires. */
#define TD_EXP_NEVER UINT64_MAX

/* The keys that tokens may be signed with.  Built at start, then immutable: any thread may verify. */
struct td_keys;

struct td_key {
    struct td_slice alg;    /* HS256, HS384 or HS512 */
    struct td_slice kid;    /* empty: the key answers to every `kid`, and to none */
    struct td_slice secret; /* at least as long as the hash: 32, 48, 64 bytes (RFC 7518 §3.2) */
};

/* NULL when memory is out. */
struct td_keys *td_keys_new(void);
/* Copies the key.  0; or TD_EINVAL with `*reason` a static sentence: unknown algorithm, a secret that is too short or long, too
 * many keys; or -ENOMEM. */
TD_MUST_USE int td_keys_add(struct td_keys *keys, const struct td_key *key, const char **reason);
size_t td_keys_len(const struct td_keys *keys);
void td_keys_free(struct td_keys *keys);

/* What a token must say besides being signed. */
struct td_token_rules {
    struct td_slice issuer;   /* `iss` must be this; empty: not checked */
    struct td_slice audience; /* `aud` must be or hold this; empty: not checked */
    uint64_t leeway_ms;       /* how far the issuer's clock may be ahead (`nbf`); `exp` is exact */
    bool exp_optional;        /* accept a token without `exp`; it never expires */
};

/* A borrowed list of texts. */
struct td_slices {
    const struct td_slice *items;
    size_t n;
};

/* Patterns that may be subscribed and published to. */
struct td_grants {
    struct td_slices subscribe, publish;
};

/* What a verified token says, and what a token to be signed is to say. */
struct td_claims {
    struct td_slice sub;     /* 1 to TD_TOKEN_SUB_MAX bytes of UTF-8 without NUL */
    struct td_slices roles;  /* of `roles` and `role` */
    bool has_grants;         /* the claim `tidings` is there */
    struct td_grants grants; /* its patterns, all valid */
    td_unix_ms exp;          /* TD_EXP_NEVER when the token has none */
    td_unix_ms iat;          /* 0 when the token has none */
};

/* Verifies a token.  0 with claims, which the caller ends with td_claims_free; TD_EUNAUTHORIZED, TD_EEXPIRED or
 * -ENOMEM, then `*reason` is a static sentence for the peer and the log that holds nothing of the token. */
TD_MUST_USE int td_token_verify(const struct td_keys *keys, const struct td_token_rules *rules,
                                struct td_slice token, td_unix_ms now,
                                struct td_claims **ret_claims, const char **reason);
void td_claims_free(struct td_claims *claims);

/* Appends a token with these claims, and with the rules' issuer and audience, signed with the first key.
 * 0, TD_EINVAL when a claim is not one that td_token_verify would take, -ENOMEM, or the error of the buffer. */
TD_MUST_USE int td_token_sign(const struct td_keys *keys, const struct td_token_rules *rules,
                              const struct td_claims *claims, struct td_buf *out);
