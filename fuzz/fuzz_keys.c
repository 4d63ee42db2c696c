/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of public keys: PEM, JWK and sets of them, as an issuer's server may answer. */
#include "auth/keys.h"
#include "base/assert.h"
#include "base/err.h"
#include "fuzz.h"
#include <errno.h>
#include <string.h>

static int add(struct td_keys *keys, struct td_slice text, const char **reason)
{
    /* A secret may be allowed all the same: a text never brings one. */
    static const struct td_slice algs[] = {TD_S("HS256"), TD_S("RS256"), TD_S("PS512"),
                                           TD_S("ES256"), TD_S("ES384")};
    const struct td_key_choice choice = {
        algs, TD_ARRAY_LEN(algs), {NULL, 0}
    };
    size_t before = td_keys_len(keys);
    int r = td_keys_add_text(keys, text, &choice, reason);

    TD_ASSERT(r == 0 || r == TD_EINVAL || r == -ENOMEM);
    TD_ASSERT((td_keys_len(keys) > before) == (r == 0)); /* what is bad changes nothing */
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TD_KEY_TEXT_MAX + 16];
    const struct td_jws jws = {TD_S("e30"), TD_S("e30"), TD_S("AAAA")};
    struct td_keys *keys = td_keys_new();
    const char *reason = NULL;

    TD_ASSERT(keys);
    if (size > TD_KEY_TEXT_MAX)
        size = TD_KEY_TEXT_MAX;
    text[0] = ' ';
    if (size > 0)
        memcpy(text + 1, data, size);
    int r = add(keys, td_slice(text + 1, size), &reason);
    TD_ASSERT(r == 0 || reason);
    size_t n = td_keys_len(keys);
    TD_ASSERT(n <= TD_KEYS_MAX);
    TD_ASSERT(td_keys_verify(keys, "HS256", NULL, &jws) == TD_SIGNED_NONE);
    TD_ASSERT(td_keys_verify(keys, "none", NULL, &jws) == TD_SIGNED_NONE);
    TD_ASSERT(td_keys_verify(keys, "RS256", NULL, &jws) != TD_SIGNED);
    TD_ASSERT(td_keys_verify(keys, "ES256", NULL, &jws) != TD_SIGNED);
    /* A space in front changes nothing, and the same keys fit once more while there is room. */
    if (size < TD_KEY_TEXT_MAX && 2 * n <= TD_KEYS_MAX) {
        TD_ASSERT(add(keys, td_slice(text, size + 1), &reason) == r);
        TD_ASSERT(td_keys_len(keys) == 2 * n);
    }
    td_keys_unref(keys);
    return 0;
}
