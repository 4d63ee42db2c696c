/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/keys.h"
#include "base/assert.h"
#include "base/err.h"
#include <errno.h>
#include <jose/b64.h>
#include <jose/jws.h>
#include <stdatomic.h>

/* What a key of each algorithm must look like.  A row is what may be configured: `none` has no row. */
static const struct algorithm {
    const char *name;
    enum td_key_kind kind;
    size_t secret_min; /* RFC 7518 §3.2 */
} algorithms[] = {
    {"HS256", TD_KEY_OCT,  32},
    {"HS384", TD_KEY_OCT,  48},
    {"HS512", TD_KEY_OCT,  64},
    {"RS256", TD_KEY_RSA,  0 },
    {"RS384", TD_KEY_RSA,  0 },
    {"RS512", TD_KEY_RSA,  0 },
    {"PS256", TD_KEY_RSA,  0 },
    {"PS384", TD_KEY_RSA,  0 },
    {"PS512", TD_KEY_RSA,  0 },
    {"ES256", TD_KEY_P256, 0 },
    {"ES384", TD_KEY_P384, 0 },
};

struct key {
    const struct algorithm *algorithm;
    char *kid; /* "" answers to all */
    json_t *jwk;
};

struct td_keys {
    _Atomic uint32_t refs;
    size_t n;
    struct key keys[TD_KEYS_MAX];
};

static int fail(const char **reason, int err, const char *text)
{
    *reason = text;
    return err;
}

static const struct algorithm *algorithm_named(struct td_slice name)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(algorithms); i++)
        if (td_slice_eq(td_slice_str(algorithms[i].name), name))
            return &algorithms[i];
    return NULL;
}

bool td_alg_valid(struct td_slice name)
{
    return algorithm_named(name) != NULL;
}

bool td_alg_fits(struct td_slice name, enum td_key_kind kind)
{
    const struct algorithm *algorithm = algorithm_named(name);

    return algorithm && algorithm->kind == kind;
}

bool td_alg_is_secret(struct td_slice name)
{
    return td_alg_fits(name, TD_KEY_OCT);
}

struct td_keys *td_keys_new(void)
{
    struct td_keys *keys = calloc(1, sizeof(*keys));

    if (keys)
        atomic_init(&keys->refs, 1);
    return keys;
}

static struct td_keys *counted(const struct td_keys *keys)
{
    return (struct td_keys *)(uintptr_t)keys;
}

const struct td_keys *td_keys_ref(const struct td_keys *keys)
{
    uint32_t before = atomic_fetch_add_explicit(&counted(keys)->refs, 1, memory_order_relaxed);

    TD_ASSERT(before > 0 && before < UINT32_MAX);
    return keys;
}

size_t td_keys_len(const struct td_keys *keys)
{
    return keys->n;
}

void td_keys_cut(struct td_keys *keys, size_t n)
{
    while (keys->n > n) {
        struct key *key = &keys->keys[--keys->n];
        free(key->kid);
        json_decref(key->jwk);
    }
}

void td_keys_unref(const struct td_keys *keys)
{
    if (!keys || atomic_fetch_sub_explicit(&counted(keys)->refs, 1, memory_order_acq_rel) > 1)
        return;
    td_keys_cut(counted(keys), 0);
    free(counted(keys));
}

int td_keys_put(struct td_keys *keys, struct td_slice alg, struct td_slice kid, json_t *jwk,
                const char **reason)
{
    const struct algorithm *algorithm = algorithm_named(alg);

    TD_ASSERT(algorithm);
    if (keys->n == TD_KEYS_MAX) {
        json_decref(jwk);
        return fail(reason, TD_EINVAL, "there are more than 32 keys");
    }
    char *name = strndup(kid.len ? kid.ptr : "", kid.len);
    if (!name || !jwk || json_object_set_new(jwk, "alg", json_string(algorithm->name)) < 0) {
        free(name);
        json_decref(jwk);
        return fail(reason, -ENOMEM, "out of memory");
    }
    keys->keys[keys->n++] = (struct key){algorithm, name, jwk};
    return 0;
}

int td_keys_add(struct td_keys *keys, const struct td_key *key, const char **reason)
{
    const struct algorithm *algorithm = algorithm_named(key->alg);

    if (!algorithm)
        return fail(reason, TD_EINVAL,
                    "alg must be one of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, "
                    "PS512, ES256 and ES384");
    if (algorithm->kind != TD_KEY_OCT)
        return fail(reason, TD_EINVAL, "this alg needs a public_key_file, not a secret");
    if (key->secret.len < algorithm->secret_min)
        return fail(reason, TD_EINVAL,
                    "the secret is too short: HS256 needs 32 bytes, HS384 48, HS512 64");
    if (key->secret.len > TD_KEY_SECRET_MAX)
        return fail(reason, TD_EINVAL, "the secret is longer than 1024 bytes");
    return td_keys_put(
        keys, key->alg, key->kid,
        json_pack("{s:s, s:o}", "kty", "oct", "k", jose_b64_enc(key->secret.ptr, key->secret.len)),
        reason);
}

static bool signed_by(const struct key *key, const struct td_jws *parts)
{
    json_t *jws = json_pack("{s:s%, s:s%, s:s%}", "protected", parts->header.ptr, parts->header.len,
                            "payload", parts->payload.ptr, parts->payload.len, "signature",
                            parts->signature.ptr, parts->signature.len);
    bool good = jws && jose_jws_ver(NULL, jws, NULL, key->jwk, false);

    json_decref(jws);
    return good;
}

/* The keys are a fixed table: `alg` has to be the key's own, `kid` (where both sides have one) too. */
enum td_verdict td_keys_verify(const struct td_keys *keys, const char *alg, const char *kid,
                               const struct td_jws *jws)
{
    enum td_verdict verdict = TD_SIGNED_NONE;

    for (size_t i = 0; i < keys->n; i++) {
        const struct key *key = &keys->keys[i];
        if (strcmp(alg, key->algorithm->name) != 0)
            continue;
        if (kid && key->kid[0] && strcmp(kid, key->kid) != 0)
            continue;
        verdict = TD_SIGNED_WRONG;
        if (signed_by(key, jws))
            return TD_SIGNED;
    }
    return verdict;
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

static const struct key *signer(const struct td_keys *keys)
{
    for (size_t i = 0; i < keys->n; i++)
        if (keys->keys[i].algorithm->kind == TD_KEY_OCT)
            return &keys->keys[i];
    return NULL;
}

bool td_keys_can_sign(const struct td_keys *keys)
{
    return signer(keys) != NULL;
}

int td_keys_sign(const struct td_keys *keys, const char *payload, struct td_buf *out)
{
    const struct key *key = signer(keys);

    return key ? sign(key, payload, out) : TD_EINVAL;
}
