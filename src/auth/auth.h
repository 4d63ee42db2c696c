/* SPDX-License-Identifier: Apache-2.0 */
/* All that turns a token into a principal: who may issue tokens, with which keys, and what configuration grants.
 *
 * Immutable while it is in use, shared by the workers.  What a principal was given when its token was verified stays with
 * it, whatever replaces this. */
#pragma once

#include "auth/principal.h"
#include "auth/token.h"
#include "base/compiler.h"

struct td_auth {
    const struct td_issuer *issuers;
    size_t n_issuers;
    struct td_policy policy;
    /* Called when a token asks for a key that issuer number `issuer` does not have (yet); NULL: nobody is asked.  From any thread that
     * verifies, and as often as such tokens come. */
    void (*missing)(size_t issuer, void *arg);
    void *arg;
};

/* Verifies a token and compiles what it may do.  0 with a reference that the caller gives back (td_principal_unref);
 * TD_EUNAUTHORIZED, TD_EEXPIRED, TD_EUNAVAILABLE (keys are not loaded yet) or -ENOMEM with `*reason` a static sentence. */
TD_MUST_USE int td_auth_verify(const struct td_auth *auth, struct td_slice token, td_unix_ms now,
                               struct td_principal **ret_principal, const char **reason);
