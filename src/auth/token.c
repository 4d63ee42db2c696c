/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/token.h"
#include "auth/claims.h"
#include "base/assert.h"
#include "base/err.h"
#include <errno.h>
#include <jansson.h>
#include <jose/b64.h>
#include <jose/jws.h>

/* What a key of each algorithm must look like (RFC 7518 §3.2).  A row is what may be configured: `none` has no row, and
 * an algorithm of another key type cannot meet a secret. */
static const struct algorithm {
    const char *name;
    const char *jwk_type;
    size_t secret_min;
} algorithms[] = {
    {"HS256", "oct", 32},
    {"HS384", "oct", 48},
    {"HS512", "oct", 64},
};

struct key {
    const struct algorithm *algorithm;
    char *kid; /* "" answers to all */
    json_t *jwk;
};

struct td_keys {
    size_t n;
    struct key keys[TD_KEYS_MAX];
};

static int fail(const char **reason, int err, const char *text)
{
    *reason = text;
    return err;
}

static int refuse(const char **reason, const char *text)
{
    return fail(reason, TD_EUNAUTHORIZED, text);
}

static const struct algorithm *algorithm_named(struct td_slice name)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(algorithms); i++)
        if (td_slice_eq(td_slice_str(algorithms[i].name), name))
            return &algorithms[i];
    return NULL;
}

struct td_keys *td_keys_new(void)
{
    return calloc(1, sizeof(struct td_keys));
}

size_t td_keys_len(const struct td_keys *keys)
{
    return keys->n;
}

void td_keys_free(struct td_keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->n; i++) {
        free(keys->keys[i].kid);
        json_decref(keys->keys[i].jwk);
    }
    free(keys);
}

int td_keys_add(struct td_keys *keys, const struct td_key *key, const char **reason)
{
    const struct algorithm *algorithm = algorithm_named(key->alg);

    if (!algorithm)
        return fail(reason, TD_EINVAL, "alg must be HS256, HS384 or HS512");
    if (keys->n == TD_KEYS_MAX)
        return fail(reason, TD_EINVAL, "there are more than 32 keys");
    if (key->secret.len < algorithm->secret_min)
        return fail(reason, TD_EINVAL,
                    "the secret is too short: HS256 needs 32 bytes, HS384 48, HS512 64");
    if (key->secret.len > TD_KEY_SECRET_MAX)
        return fail(reason, TD_EINVAL, "the secret is longer than 1024 bytes");
    char *kid = strndup(key->kid.len ? key->kid.ptr : "", key->kid.len);
    json_t *jwk = json_pack("{s:s, s:s, s:o}", "kty", algorithm->jwk_type, "alg", algorithm->name,
                            "k", jose_b64_enc(key->secret.ptr, key->secret.len));
    if (!kid || !jwk) {
        free(kid);
        json_decref(jwk);
        return fail(reason, -ENOMEM, "out of memory");
    }
    keys->keys[keys->n++] = (struct key){algorithm, kid, jwk};
    return 0;
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

/* The three parts of the compact form (RFC 7515 §7.1). */
struct parts {
    struct td_slice header, payload, signature;
};

static bool split(struct td_slice token, struct parts *ret_parts)
{
    struct parts parts;

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

static bool signed_by(const struct key *key, const struct parts *parts)
{
    json_t *jws = json_pack("{s:s%, s:s%, s:s%}", "protected", parts->header.ptr, parts->header.len,
                            "payload", parts->payload.ptr, parts->payload.len, "signature",
                            parts->signature.ptr, parts->signature.len);
    bool good = jws && jose_jws_ver(NULL, jws, NULL, key->jwk, false);

    json_decref(jws);
    return good;
}

/* Finds a configured key that the header asks for and that made the signature.  The keys are a fixed table: `alg` has to be the
 * key's own, `kid` (where both sides have one) too, and nothing else in the header is read. */
static int check_signature(const struct td_keys *keys, const json_t *header,
                           const struct parts *parts, const char **reason)
{
    const char *alg = json_string_value(json_object_get(header, "alg"));
    const json_t *kid = json_object_get(header, "kid");
    bool tried = false;

    if (!alg)
        return refuse(reason, "the token's header has no alg");
    if (json_object_get(header, "crit")) /* RFC 7515 §4.1.11: no extension is understood */
        return refuse(reason, "the token's header has crit");
    if (kid && !json_is_string(kid))
        return refuse(reason, "the token's kid is not a string");
    for (size_t i = 0; i < keys->n; i++) {
        const struct key *key = &keys->keys[i];
        if (strcmp(alg, key->algorithm->name) != 0)
            continue;
        if (kid && key->kid[0] && strcmp(json_string_value(kid), key->kid) != 0)
            continue;
        tried = true;
        if (signed_by(key, parts))
            return 0;
    }
    return refuse(reason, tried ? "the signature is not by a configured key"
                                : "no configured key has the token's alg and kid");
}

int td_token_verify(const struct td_keys *keys, const struct td_token_rules *rules,
                    struct td_slice token, td_unix_ms now, struct td_claims **ret_claims,
                    const char **reason)
{
    struct parts parts;

    if (token.len == 0)
        return refuse(reason, "the token is empty");
    if (token.len > TD_TOKEN_LEN_MAX)
        return refuse(reason, "the token is longer than 8192 bytes");
    if (!split(token, &parts))
        return refuse(reason, "the token is not a compact JWS");
    json_t *header = decode(parts.header);
    if (!header)
        return refuse(reason, "the token's header is not a JSON object");
    int r = check_signature(keys, header, &parts, reason);
    json_decref(header);
    if (r < 0)
        return r;
    json_t *payload = decode(parts.payload);
    if (!payload)
        return refuse(reason, "the token's payload is not a JSON object");
    return td_claims_parse(payload, rules, now, ret_claims, reason);
}

/* Signs with libjose's flattened form and writes the compact one. */
static int sign(const struct key *key, const char *payload, struct td_buf *out)
{
    json_t *jws = json_pack("{s:o}", "payload", jose_b64_enc(payload, strlen(payload)));
    json_t *sig =
        json_pack("{s:{s:s, s:s}}", "protected", "alg", key->algorithm->name, "typ", "JWT");
    int r = -ENOMEM;

    if (sig && key->kid[0])
        json_object_set_new(json_object_get(sig, "protected"), "kid", json_string(key->kid));
    if (jws && sig && jose_jws_sig(NULL, jws, sig, key->jwk))
        r = td_buf_putf(out, "%s.%s.%s", json_string_value(json_object_get(jws, "protected")),
                        json_string_value(json_object_get(jws, "payload")),
                        json_string_value(json_object_get(jws, "signature")));
    json_decref(sig);
    json_decref(jws);
    return r;
}

int td_token_sign(const struct td_keys *keys, const struct td_token_rules *rules,
                  const struct td_claims *claims, struct td_buf *out)
{
    json_t *payload;

    if (keys->n == 0)
        return TD_EINVAL;
    int r = td_claims_pack(claims, rules, &payload);
    if (r < 0)
        return r;
    char *json = json_dumps(payload, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(payload);
    if (!json)
        return -ENOMEM;
    size_t before = out->len;
    r = sign(&keys->keys[0], json, out);
    free(json);
    if (r == 0 && out->len - before > TD_TOKEN_LEN_MAX) {
        out->len = before; /* no server would take it */
        r = TD_EINVAL;
    }
    return r;
}
