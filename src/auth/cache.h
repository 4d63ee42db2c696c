/* SPDX-License-Identifier: Apache-2.0 */
/* Verified tokens, remembered by their SHA-256 until they expire, so that a thousand connections with one token cost one
 * verification and share one principal.
 *
 * Bounded: the token that was used longest ago makes room.  Failures are not remembered.  What a cached token may do is
 * what keys, rules and policy said when it was verified: td_token_cache_clear when one of them changes.
 * One for each worker; not thread-safe. */
#pragma once

#include "auth/auth.h"
#include "auth/principal.h"
#include "base/compiler.h"
#include <stdbool.h>

#define TD_TOKEN_CACHE_MAX 4096

struct td_token_cache;

/* NULL when memory is out.  `max` > 0 tokens. */
struct td_token_cache *td_token_cache_new(size_t max);
void td_token_cache_free(struct td_token_cache *cache);
/* Forgets all tokens; principals that are referenced elsewhere live on. */
void td_token_cache_clear(struct td_token_cache *cache);
size_t td_token_cache_len(const struct td_token_cache *cache);

/* Whether a token is remembered and has not expired; then with a reference that the caller gives back. */
bool td_token_cache_find(struct td_token_cache *cache, struct td_slice token, td_unix_ms now,
                         struct td_principal **ret_principal);
/* Verifies a token, or remembers that it was.  0 with a reference that the caller gives back (td_principal_unref);
 * TD_EUNAUTHORIZED, TD_EEXPIRED, TD_EUNAVAILABLE or -ENOMEM with `*reason` a static sentence.  With the cache or without it the
 * answer is the same. */
TD_MUST_USE int td_token_cache_verify(struct td_token_cache *cache, const struct td_auth *auth,
                                      struct td_slice token, td_unix_ms now,
                                      struct td_principal **ret_principal, const char **reason);
