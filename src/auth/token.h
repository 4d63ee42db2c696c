/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: compact JWS (RFC 7515 §3.1) that carry JWT claims (RFC 7519), verified by libjose.
 *
 * Who may issue tokens stands in a fixed table: a row has the rules that its tokens obey and the keys that may have signed
 * them.  Before the signature has been checked, three words of a token are used, each only to be compared with what is
 * configured: `iss` to find the row, `alg` and `kid` to find the key in it.  The key decides the algorithm, never the
 * token: a header whose `alg` is not that of a key of its row is refused before any arithmetic. */
#pragma once

#include "auth/keys.h"
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
/* The `exp` of a token that never expires. */
#define TD_EXP_NEVER UINT64_MAX

/* What a token must say besides being signed. */
struct td_token_rules {
    struct td_slice issuer;   /* `iss` must be this; empty: not checked */
    struct td_slice audience; /* `aud` must be or hold this; empty: not checked */
    uint64_t leeway_ms;       /* how far the issuer's clock may be ahead (`nbf`); `exp` is exact */
    bool exp_optional;        /* accept a token without `exp`; it never expires */
};

/* One who issues tokens.  Borrowed by the functions here. */
struct td_issuer {
    struct td_token_rules
        rules; /* with an empty issuer the row is for tokens that no other row names */
    const struct td_keys *keys; /* NULL: they have not been loaded yet */
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

/* What td_issuers_verify tells beyond its result. */
struct td_token_fault {
    const char
        *reason; /* a static sentence for the peer and the log that holds nothing of the token */
    int missing; /* the row whose keys may be out of date, as none fits the token; -1: none is */
};

/* Verifies a token with the one row that its `iss` names.  0 with claims, which the caller ends with td_claims_free; TD_EUNAUTHORIZED,
 * TD_EEXPIRED, TD_EUNAVAILABLE (the row's keys are not loaded yet) or -ENOMEM, then `fault` is written. */
TD_MUST_USE int td_issuers_verify(const struct td_issuer *issuers, size_t n, struct td_slice token,
                                  td_unix_ms now, struct td_claims **ret_claims,
                                  struct td_token_fault *fault);
/* The same with one row. */
TD_MUST_USE int td_token_verify(const struct td_keys *keys, const struct td_token_rules *rules,
                                struct td_slice token, td_unix_ms now,
                                struct td_claims **ret_claims, const char **reason);
void td_claims_free(struct td_claims *claims);

/* Appends a token with these claims, and with the rules' issuer and audience, signed with the first key that is a secret.
 * 0, TD_EINVAL when there is none or a claim is not one that td_token_verify would take, -ENOMEM, or the error of the buffer. */
TD_MUST_USE int td_token_sign(const struct td_keys *keys, const struct td_token_rules *rules,
                              const struct td_claims *claims, struct td_buf *out);
