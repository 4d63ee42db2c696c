/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys from text: PEM, JWK, sets of JWKs (RFC 7517).  Each becomes a JWK of its public members only, built here, so that
 * nothing else of a document reaches libjose. */
#include "auth/keys.h"
#include "base/err.h"
#include <errno.h>
#include <jose/openssl.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

static int fail(const char **reason, int err, const char *text)
{
    *reason = text;
    return err;
}

static const char *member(const json_t *jwk, const char *name)
{
    return json_string_value(json_object_get(jwk, name));
}

/* The kind of key that a JWK claims to be; false for those that no algorithm here uses. */
static bool kind_of(const json_t *jwk, enum td_key_kind *ret_kind)
{
    const char *kty = member(jwk, "kty"), *crv = member(jwk, "crv");

    if (kty && strcmp(kty, "RSA") == 0)
        *ret_kind = TD_KEY_RSA;
    else if (kty && crv && strcmp(kty, "EC") == 0 && strcmp(crv, "P-256") == 0)
        *ret_kind = TD_KEY_P256;
    else if (kty && crv && strcmp(kty, "EC") == 0 && strcmp(crv, "P-384") == 0)
        *ret_kind = TD_KEY_P384;
    else
        return false;
    return true;
}

/* RFC 7518 §3.3.  With an exponent of 1 every text signs itself. */
static bool rsa_is_sound(const EVP_PKEY *pkey, const char **reason)
{
    BIGNUM *exponent = NULL;
    int bits = EVP_PKEY_get_bits(pkey);
    bool odd = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 &&
               BN_is_odd(exponent) && !BN_is_one(exponent) && BN_num_bits(exponent) <= 64;

    BN_free(exponent);
    if (bits < TD_KEY_RSA_MIN)
        *reason = "the RSA key is shorter than 2048 bits";
    else if (bits > TD_KEY_RSA_MAX)
        *reason = "the RSA key is longer than 8192 bits";
    else if (!odd)
        *reason = "the RSA key's exponent is not odd and greater than 1";
    return bits >= TD_KEY_RSA_MIN && bits <= TD_KEY_RSA_MAX && odd;
}

/* Whether OpenSSL takes the members for a key of that kind: a point on its curve, a modulus of a size that is safe. */
static bool is_sound(const json_t *jwk, enum td_key_kind kind, const char **reason)
{
    EVP_PKEY *pkey = jose_openssl_jwk_to_EVP_PKEY(NULL, jwk);
    bool sound;

    if (!pkey) {
        *reason = "the key's members are not a key";
        return false;
    }
    if (kind == TD_KEY_RSA) {
        sound = rsa_is_sound(pkey, reason);
    } else {
        sound = EVP_PKEY_get_bits(pkey) == (kind == TD_KEY_P256 ? 256 : 384);
        *reason = "the EC key is not one on P-256 or P-384";
    }
    EVP_PKEY_free(pkey);
    return sound;
}

/* A new JWK of the public members that are there; NULL when memory is out. */
static json_t *public_part(const json_t *jwk, enum td_key_kind kind)
{
    if (kind == TD_KEY_RSA)
        return json_pack("{s:s, s:s*, s:s*}", "kty", "RSA", "n", member(jwk, "n"), "e",
                         member(jwk, "e"));
    return json_pack("{s:s, s:s, s:s*, s:s*}", "kty", "EC", "crv", member(jwk, "crv"), "x",
                     member(jwk, "x"), "y", member(jwk, "y"));
}

/* RFC 7517 §4.2, §4.3: a key may say what it is for. */
static bool is_for_signatures(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use"), *ops = json_object_get(jwk, "key_ops");
    const json_t *item;
    size_t i;

    if (use && (!json_is_string(use) || strcmp(json_string_value(use), "sig") != 0))
        return false;
    json_array_foreach(ops, i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), "verify") == 0)
            return true;
    }
    return !ops;
}

/* The algorithm that the key is bound to: its own when it says one, else the first that fits.  It has to be allowed. */
static bool choose_alg(const json_t *jwk, enum td_key_kind kind, const struct td_key_choice *choice,
                       struct td_slice *ret_alg)
{
    const json_t *own = json_object_get(jwk, "alg");

    if (own && !json_is_string(own))
        return false;
    for (size_t i = 0; i < choice->n_algs; i++) {
        struct td_slice alg = choice->algs[i];
        if (!td_alg_fits(alg, kind) ||
            (own && !td_slice_eq(alg, td_slice_str(json_string_value(own)))))
            continue;
        *ret_alg = alg;
        return true;
    }
    return false;
}

static bool read_kid(const json_t *jwk, struct td_slice *ret_kid)
{
    const json_t *kid = json_object_get(jwk, "kid");

    *ret_kid = (struct td_slice){NULL, 0};
    if (!kid)
        return true;
    if (!json_is_string(kid) || json_string_length(kid) > TD_KEY_KID_MAX)
        return false;
    *ret_kid = td_slice(json_string_value(kid), json_string_length(kid));
    return true;
}

/* Adds one JWK.  0; or TD_EINVAL when it can't be used, -ENOMEM; then `*reason` says why. */
static int add_jwk(struct td_keys *keys, const json_t *jwk, const struct td_key_choice *choice,
                   bool single, const char **reason)
{
    enum td_key_kind kind;
    struct td_slice alg, kid;

    if (!json_is_object(jwk) || !kind_of(jwk, &kind))
        return fail(reason, TD_EINVAL, "the key is not RSA, and not EC on P-256 or P-384");
    if (!is_for_signatures(jwk))
        return fail(reason, TD_EINVAL, "the key's use or key_ops is not to verify signatures");
    if (!choose_alg(jwk, kind, choice, &alg))
        return fail(reason, TD_EINVAL, "the key is of another type than alg needs");
    if (!read_kid(jwk, &kid))
        return fail(reason, TD_EINVAL, "the key's kid is not a string of at most 256 bytes");
    if (choice->kid.len > 0 && !single && !td_slice_eq(kid, choice->kid))
        return fail(reason, TD_EINVAL, "no key of the set has that kid");
    json_t *part = public_part(jwk, kind);
    if (!part)
        return fail(reason, -ENOMEM, "out of memory");
    if (!is_sound(part, kind, reason)) {
        json_decref(part);
        return TD_EINVAL;
    }
    return td_keys_put(keys, alg, choice->kid.len > 0 ? choice->kid : kid, part, reason);
}

static int add_set(struct td_keys *keys, const json_t *set, const struct td_key_choice *choice,
                   const char **reason)
{
    size_t before = td_keys_len(keys), i;
    const char *why = "the set holds no key";
    const json_t *jwk;

    json_array_foreach(set, i, jwk)
    {
        bool full = td_keys_len(keys) == TD_KEYS_MAX;
        int r = add_jwk(keys, jwk, choice, false, &why);
        if (r == -ENOMEM || (r < 0 && full)) {
            td_keys_cut(keys, before);
            return fail(reason, r, why);
        }
    }
    /* With several left out it is the last one's reason that is told; the common case is one key of the wrong kind. */
    return td_keys_len(keys) > before ? 0 : fail(reason, TD_EINVAL, why);
}

static int add_json(struct td_keys *keys, struct td_slice text, const struct td_key_choice *choice,
                    const char **reason)
{
    json_t *document = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *set = json_object_get(document, "keys");
    int r;

    if (!json_is_object(document))
        r = fail(reason, TD_EINVAL, "the text is not a JSON object");
    else if (set && !json_is_array(set))
        r = fail(reason, TD_EINVAL, "`keys` is not an array");
    else if (set)
        r = add_set(keys, set, choice, reason);
    else
        r = add_jwk(keys, document, choice, true, reason);
    json_decref(document);
    return r;
}

static int add_pem(struct td_keys *keys, struct td_slice text, const struct td_key_choice *choice,
                   const char **reason)
{
    BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
    EVP_PKEY *pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    json_t *jwk = pkey ? jose_openssl_jwk_from_EVP_PKEY(NULL, pkey) : NULL;
    int r;

    if (!pkey)
        r = fail(reason, TD_EINVAL, "the file is neither a PEM public key nor a JWK");
    else if (!jwk)
        r = fail(reason, TD_EINVAL, "the key is not RSA, and not EC on P-256 or P-384");
    else
        r = add_jwk(keys, jwk, choice, true, reason);
    json_decref(jwk);
    EVP_PKEY_free(pkey);
    BIO_free(bio);
    ERR_clear_error();
    return r;
}

int td_keys_add_text(struct td_keys *keys, struct td_slice text, const struct td_key_choice *choice,
                     const char **reason)
{
    struct td_slice trimmed = td_slice_trim(text);

    while (trimmed.len > 0 && (trimmed.ptr[0] == '\n' || trimmed.ptr[0] == '\r'))
        trimmed = td_slice_trim(td_slice_from(trimmed, 1));
    if (trimmed.len > TD_KEY_TEXT_MAX)
        return fail(reason, TD_EINVAL, "the text is longer than 64 KiB");
    if (trimmed.len == 0)
        return fail(reason, TD_EINVAL, "the text is empty");
    if (trimmed.ptr[0] == '{')
        return add_json(keys, trimmed, choice, reason);
    return add_pem(keys, trimmed, choice, reason);
}
