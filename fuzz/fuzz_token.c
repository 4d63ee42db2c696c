/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens.  The input is tried twice: as a token as it is, and, cut at its first newline, as header and payload that are signed with
 * the right secret, so that what lies behind the signature is reached too. */
#include "../tests/unit/auth/forge.h"
#include "../tests/unit/auth/signatures.h"
#include "auth/cache.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/json.h"
#include "fuzz.h"

static const struct td_token_rules rules = {.leeway_ms = TD_TOKEN_LEEWAY_MS, .exp_optional = true};

static void check_list(struct td_slices patterns)
{
    TD_ASSERT(patterns.n <= TD_TOKEN_PATTERNS_MAX);
    for (size_t i = 0; i < patterns.n; i++)
        TD_ASSERT(td_pattern_valid(patterns.items[i]));
}

/* Claims that were accepted keep what the header promises, and survive being signed again. */
static void check_claims(const struct td_keys *keys, const struct td_claims *claims)
{
    struct td_buf token = TD_BUF_INIT(2 * TD_TOKEN_LEN_MAX);
    struct td_claims *again;
    const char *reason;

    TD_ASSERT(claims->sub.len > 0 && claims->sub.len <= TD_TOKEN_SUB_MAX);
    TD_ASSERT(claims->exp > NOW && claims->roles.n <= TD_TOKEN_ROLES_MAX);
    check_list(claims->grants.subscribe);
    check_list(claims->grants.publish);
    int r = td_token_sign(keys, &rules, claims, &token);
    TD_ASSERT(r == 0 || r == TD_EINVAL); /* escapes may take it over the limit */
    if (r == 0) {
        r = td_token_verify(keys, &rules, td_buf_slice(&token), NOW, &again, &reason);
        TD_ASSERT(r == 0);
        TD_ASSERT(td_slice_eq(again->sub, claims->sub));
        TD_ASSERT(again->exp == claims->exp && again->iat == claims->iat);
        TD_ASSERT(again->has_grants == claims->has_grants);
        TD_ASSERT(again->grants.subscribe.n == claims->grants.subscribe.n);
        TD_ASSERT(again->grants.publish.n == claims->grants.publish.n);
        TD_ASSERT(again->roles.n == claims->roles.n);
        td_claims_free(again);
    }
    td_buf_done(&token);
}

static void check_principal(const struct td_principal *principal)
{
    struct td_slice parts[TD_GRANTS_MAX], value;
    struct td_buf text = TD_BUF_INIT(TD_INTERSECT_TEXT_MAX);
    bool check;

    TD_ASSERT(td_segment_valid(principal->segment));
    TD_ASSERT(td_json_check(principal->subject_json, &value, NULL) == 0);
    TD_ASSERT(td_principal_may_see(principal, TD_S("audit/x")) == principal->is_admin);
    TD_ASSERT(!td_principal_may_publish(principal, TD_S("audit/x")));
    int n = td_principal_intersect(principal, TD_S("**"), &text, parts, &check);
    TD_ASSERT(n > 0); /* one's own topics at least */
    for (int i = 0; i < n; i++)
        TD_ASSERT(td_pattern_valid(parts[i]));
    td_buf_done(&text);
}

/* The secret, and a key for each algorithm of the vectors. */
static struct td_keys *all_keys(void)
{
    struct td_keys *keys = forge_keys();
    const char *reason;

    for (size_t i = 0; i < TD_ARRAY_LEN(signed_tokens); i++) {
        struct td_slice alg = td_slice_str(signed_tokens[i].alg);
        const struct td_key_choice choice = {
            &alg, 1, {NULL, 0}
        };
        int r = td_keys_add_text(keys, td_slice_str(signed_tokens[i].pem), &choice, &reason);
        TD_ASSERT(r == 0);
    }
    return keys;
}

/* The private halves of the vectors' keys are not here: what passes and is not signed with the secret is one of the vectors, byte by
 * byte. */
static void check_signer(struct td_slice token)
{
    struct td_keys *secret = forge_keys();
    struct td_claims *claims;
    const char *reason;
    bool known = td_token_verify(secret, &rules, token, NOW, &claims, &reason) == 0;

    if (known)
        td_claims_free(claims);
    for (size_t i = 0; i < TD_ARRAY_LEN(signed_tokens); i++)
        known |= td_slice_eq(token, td_slice_str(signed_tokens[i].token));
    TD_ASSERT(known);
    td_keys_unref(secret);
}

static void try_token(struct td_slice token)
{
    static struct td_keys
        *keys; /* made once: checking ten public keys takes longer than all the rest */
    if (!keys)
        keys = all_keys();
    const struct td_issuer issuer = {rules, keys};
    struct td_auth auth = {.issuers = &issuer, .n_issuers = 1};
    struct td_token_cache *cache = td_token_cache_new(2);
    struct td_claims *claims = NULL;
    const char *reason = NULL;
    int r = td_token_verify(keys, &rules, token, NOW, &claims, &reason);

    TD_ASSERT((r == 0) == (claims != NULL) && (r == 0 || reason));
    if (r == 0)
        check_signer(token);
    if (r == 0)
        check_claims(keys, claims);
    td_claims_free(claims);
    for (int round = 0; round < 2; round++) { /* with the cache as without */
        struct td_principal *principal = NULL;
        int cached = td_token_cache_verify(cache, &auth, token, NOW, &principal, &reason);
        TD_ASSERT(cached == r || (r == 0 && cached == TD_EUNAUTHORIZED && !principal));
        if (principal)
            check_principal(principal);
        td_principal_unref(principal);
    }
    td_token_cache_free(cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_slice header = {(const char *)data, 0}, payload;
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;

    try_token(td_slice((const char *)data, size));
    if (!newline || size > 5000)
        return 0;
    header.len = (size_t)(newline - data);
    payload = td_slice_from(td_slice((const char *)data, size), header.len + 1);
    try_token(forge_bytes(TD_S(SECRET), header, payload));
    return 0;
}
