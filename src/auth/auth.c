/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/auth.h"

int td_auth_verify(const struct td_auth *auth, struct td_slice token, td_unix_ms now,
                   struct td_principal **ret_principal, const char **reason)
{
    struct td_claims *claims;
    struct td_token_fault fault;
    int r = td_issuers_verify(auth->issuers, auth->n_issuers, token, now, &claims, &fault);

    if (r < 0) {
        if (fault.missing >= 0 && auth->missing)
            auth->missing((size_t)fault.missing, auth->arg);
        *reason = fault.reason;
        return r;
    }
    r = td_principal_new(claims, &auth->policy, ret_principal, reason);
    td_claims_free(claims);
    return r;
}
