/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/token.h"
#include "auth/claims.h"
#include "base/err.h"
#include <errno.h>
#include <jansson.h>
#include <jose/b64.h>

static int refuse(const char **reason, const char *text)
{
    *reason = text;
    return TD_EUNAUTHORIZED;
}

/* The value of a base64url character, or 64. */
static unsigned digit(char c)
{
    const char *at = c ? strchr(JOSE_B64_MAP, c) : NULL;

    return at ? (unsigned)(at - JOSE_B64_MAP) : 64;
}

/* Whether the text is base64url as RFC 7515 §2 wants it: no padding, nothing else between the letters, and the bits behind the
 * last byte zero, so that one token has one spelling. */
static bool base64url_strict(struct td_slice text)
{
    static const unsigned spare[4] = {0, 0, 0xf, 0x3};

    if (text.len == 0 || text.len % 4 == 1)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (digit(text.ptr[i]) == 64)
            return false;
    return (digit(text.ptr[text.len - 1]) & spare[text.len % 4]) == 0;
}

/* Decodes one part of the token as a JSON object; NULL when it is none.  The caller owns it. */
static json_t *decode(struct td_slice part)
{
    char json[TD_TOKEN_LEN_MAX];
    size_t len = jose_b64_dec_buf(part.ptr, part.len, json, sizeof(json));

    if (len > sizeof(json)) /* SIZE_MAX: not base64url */
        return NULL;
    json_t *value = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(value))
        return value;
    json_decref(value);
    return NULL;
}

static bool split(struct td_slice token, struct td_jws *ret_parts)
{
    struct td_jws parts;

    if (!td_slice_split(&token, '.', &parts.header) ||
        !td_slice_split(&token, '.', &parts.payload) ||
        !td_slice_split(&token, '.', &parts.signature) || token.ptr)
        return false;
    if (!base64url_strict(parts.header) || !base64url_strict(parts.payload) ||
        !base64url_strict(parts.signature))
        return false;
    *ret_parts = parts;
    return true;
}

/* Nothing else in the header is read than `alg` and `kid`. */
static int check_signature(const struct td_keys *keys, const json_t *header,
                           const struct td_jws *jws, bool *ret_missing, const char **reason)
{
    const char *alg = json_string_value(json_object_get(header, "alg"));
    const json_t *kid = json_object_get(header, "kid");

    if (!alg)
        return refuse(reason, "the token's header has no alg");
    if (json_object_get(header, "crit")) /* RFC 7515 §4.1.11: no extension is understood */
        return refuse(reason, "the token's header has crit");
    if (kid && !json_is_string(kid))
        return refuse(reason, "the token's kid is not a string");
    enum td_verdict verdict = td_keys_verify(keys, alg, json_string_value(kid), jws);
    if (verdict == TD_SIGNED)
        return 0;
    /* A key that the token names and that is there is the right one, and the token a forged one. */
    *ret_missing = verdict == TD_SIGNED_NONE || !kid;
    return refuse(reason, verdict == TD_SIGNED_WRONG
                              ? "the signature is not by a configured key"
                              : "no configured key has the token's alg and kid");
}

/* The row that `iss` names as a whole, else the one without a name.  -1: there is neither. */
static int find_issuer(const struct td_issuer *issuers, size_t n, const json_t *payload)
{
    const json_t *iss = json_object_get(payload, "iss");
    struct td_slice name = {json_string_value(iss), json_string_length(iss)};
    int without = -1;

    for (size_t i = 0; i < n; i++) {
        struct td_slice issuer = issuers[i].rules.issuer;
        if (issuer.len == 0)
            without = (int)i;
        else if (json_is_string(iss) && td_slice_eq(issuer, name))
            return (int)i;
    }
    return without;
}

static int check(const struct td_issuer *issuers, size_t n, const json_t *header,
                 const json_t *payload, const struct td_jws *jws, struct td_token_fault *fault)
{
    bool missing = false;
    int row = find_issuer(issuers, n, payload);

    if (row < 0)
        return refuse(&fault->reason, "iss is not a configured issuer");
    if (!issuers[row].keys) {
        fault->reason = "the keys of the token's issuer are not loaded yet";
        return TD_EUNAVAILABLE;
    }
    int r = check_signature(issuers[row].keys, header, jws, &missing, &fault->reason);
    if (missing)
        fault->missing = row;
    return r < 0 ? r : row;
}

int td_issuers_verify(const struct td_issuer *issuers, size_t n, struct td_slice token,
                      td_unix_ms now, struct td_claims **ret_claims, struct td_token_fault *fault)
{
    struct td_jws jws;

    fault->missing = -1;
    if (token.len == 0)
        return refuse(&fault->reason, "the token is empty");
    if (token.len > TD_TOKEN_LEN_MAX)
        return refuse(&fault->reason, "the token is longer than 8192 bytes");
    if (!split(token, &jws))
        return refuse(&fault->reason, "the token is not a compact JWS");
    json_t *header = decode(jws.header);
    if (!header)
        return refuse(&fault->reason, "the token's header is not a JSON object");
    json_t *payload = decode(jws.payload);
    int r = payload ? check(issuers, n, header, payload, &jws, fault)
                    : refuse(&fault->reason, "the token's payload is not a JSON object");
    json_decref(header);
    if (r < 0) {
        json_decref(payload);
        return r;
    }
    return td_claims_parse(payload, &issuers[r].rules, now, ret_claims, &fault->reason);
}

int td_token_verify(const struct td_keys *keys, const struct td_token_rules *rules,
                    struct td_slice token, td_unix_ms now, struct td_claims **ret_claims,
                    const char **reason)
{
    const struct td_issuer issuer = {*rules, keys};
    struct td_token_fault fault;
    int r = td_issuers_verify(&issuer, 1, token, now, ret_claims, &fault);

    if (r < 0)
        *reason = fault.reason;
    return r;
}

int td_token_sign(const struct td_keys *keys, const struct td_token_rules *rules,
                  const struct td_claims *claims, struct td_buf *out)
{
    json_t *payload;

    int r = td_claims_pack(claims, rules, &payload);
    if (r < 0)
        return r;
    char *json = json_dumps(payload, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(payload);
    if (!json)
        return -ENOMEM;
    size_t before = out->len;
    r = td_keys_sign(keys, json, out);
    free(json);
    if (r == 0 && out->len - before > TD_TOKEN_LEN_MAX) {
        out->len = before; /* no server would take it */
        r = TD_EINVAL;
    }
    return r;
}
