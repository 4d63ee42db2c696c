/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/token.h"
#include "base/err.h"
#include "forge.h"
#include "signatures.h"

static const struct td_token_rules rules = {.leeway_ms = TD_TOKEN_LEEWAY_MS};

/* Adds a text for some algorithms (separated by spaces); `kid` may be "". */
static int add(struct td_keys *keys, const char *text, const char *algs, const char *kid)
{
    struct td_slice rest = td_slice_str(algs), names[16];
    size_t n = 0;
    const char *reason = NULL;

    while (td_slice_split(&rest, ' ', &names[n]))
        n++;
    const struct td_key_choice choice = {names, n, td_slice_str(kid)};
    size_t before = td_keys_len(keys);
    int r = td_keys_add_text(keys, td_slice_str(text), &choice, &reason);
    if (r < 0) {
        assert_non_null(reason);
        assert_int_equal(td_keys_len(keys), before);
    }
    return r;
}

static int verify(const struct td_keys *keys, const char *token)
{
    struct td_claims *claims = NULL;
    const char *reason = NULL;
    int r = td_token_verify(keys, &rules, td_slice_str(token), NOW, &claims, &reason);

    assert_true((r == 0) == (claims != NULL));
    td_claims_free(claims);
    return r;
}

static void what_others_sign_is_verified(void **state)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(signed_tokens); i++) {
        const struct signed_token *t = &signed_tokens[i];
        struct td_keys *keys = td_keys_new();
        assert_int_equal(add(keys, t->pem, t->alg, ""), 0);
        if (verify(keys, t->token) != 0)
            fail_msg("refused: %zu, %s", i, t->alg);
        td_keys_unref(keys);
    }
}

/* Each bit of the signature, and some of the rest, matters. */
static void a_changed_token_is_refused(void **state)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(signed_tokens); i++) {
        const struct signed_token *t = &signed_tokens[i];
        struct td_keys *keys = td_keys_new();
        char text[1024];
        assert_int_equal(add(keys, t->pem, t->alg, ""), 0);
        for (size_t at = 0; at < strlen(t->token); at += 7) {
            snprintf(text, sizeof(text), "%s", t->token);
            text[at] = text[at] == 'A' ? 'B' : 'A';
            if (verify(keys, text) != TD_EUNAUTHORIZED)
                fail_msg("accepted: %s, changed at %zu", t->alg, at);
        }
        td_keys_unref(keys);
    }
}

static void what_is_forged_is_refused(void **state)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(forged_tokens); i++) {
        const struct forged_token *t = &forged_tokens[i];
        struct td_keys *keys = td_keys_new();
        assert_int_equal(add(keys, t->pem, t->alg, ""), 0);
        if (verify(keys, t->token) != TD_EUNAUTHORIZED)
            fail_msg("accepted: %s", t->what);
        td_keys_unref(keys);
    }
}

static void a_jwk_is_the_same_key_as_its_pem(void **state)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(signed_tokens); i++) {
        const struct signed_token *t = &signed_tokens[i];
        const char *jwk = t->pem == rsa_pem ? rsa_jwk : t->pem == p256_pem ? p256_jwk : p384_jwk;
        struct td_keys *keys = td_keys_new();
        assert_int_equal(add(keys, jwk, t->alg, ""), 0);
        assert_int_equal(verify(keys, t->token), 0);
        td_keys_unref(keys);
    }
}

/* A key and an algorithm of another kind do not come together. */
static void the_type_binds_the_algorithm(void **state)
{
    static const struct {
        const char *text, *algs;
    } cases[] = {
        {rsa_pem,         "ES256"      },
        {rsa_pem,         "HS256"      },
        {rsa_jwk,         "HS256"      },
        {rsa_jwk,         "ES256 HS512"},
        {p256_pem,        "ES384"      },
        {p384_pem,        "ES256"      },
        {p256_jwk,        "RS256"      },
        {p521_pem,        "ES256"      },
        {p521_pem,        "ES384"      },
        {ed25519_pem,     "ES256"      },
        {rsa_1024_pem,    "RS256"      },
        {rsa_1024_jwk,    "PS256"      },
        {rsa_e1_jwk,      "RS256"      },
        {rsa_even_jwk,    "RS256"      },
        {rsa_huge_jwk,    "RS256"      },
        {off_curve_jwk,   "ES256"      },
        {wrong_curve_jwk, "ES384"      },
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        struct td_keys *keys = td_keys_new();
        if (add(keys, cases[i].text, cases[i].algs, "") != TD_EINVAL)
            fail_msg("accepted: %zu", i);
        td_keys_unref(keys);
    }
}

static void texts_that_are_no_key_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "\n\n",
        "x",
        "{",
        "{}",
        "[]",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[1,null,\"x\",[]]}",
        "{\"kty\":\"RSA\"}",
        "{\"kty\":\"RSA\",\"n\":1,\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"n\":\"!!\",\"e\":\"AQAB\"}",
        "{\"kty\":[\"RSA\"],\"n\":\"AA\",\"e\":\"AQAB\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"\",\"y\":\"\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AA\",\"y\":\"AA\"}",
        "{\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}",
        "{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}",
        "-----BEGIN PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    };
    static char long_text[TD_KEY_TEXT_MAX + 2];

    for (size_t i = 0; i < TD_ARRAY_LEN(texts); i++) {
        struct td_keys *keys = td_keys_new();
        if (add(keys, texts[i], "HS256 RS256 ES256 ES384", "") != TD_EINVAL)
            fail_msg("accepted: %s", texts[i]);
        td_keys_unref(keys);
    }
    memset(long_text, '{', sizeof(long_text) - 1);
    struct td_keys *keys = td_keys_new();
    assert_int_equal(add(keys, long_text, "RS256", ""), TD_EINVAL);
    long_text[TD_KEY_TEXT_MAX] = '\0';
    assert_int_equal(add(keys, long_text, "RS256", ""), TD_EINVAL);
    td_keys_unref(keys);
}

/* A set with the RSA key of these members. */
static const char *set_of(const char *members)
{
    static char text[2048];

    snprintf(text, sizeof(text), "{\"keys\":[{%s%.*s]}", members, (int)strlen(rsa_jwk),
             rsa_jwk + 1);
    return text;
}

/* What a JWK says of itself counts: its use, its algorithm, its name. */
static void members_of_a_jwk(void **state)
{
    static const struct {
        const char *members;
        bool taken;
    } cases[] = {
        {"",                                                true },
        {"\"use\":\"sig\",",                                true },
        {"\"use\":\"enc\",",                                false},
        {"\"use\":1,",                                      false},
        {"\"key_ops\":[\"verify\"],",                       true },
        {"\"key_ops\":[\"encrypt\",\"verify\"],",           true },
        {"\"key_ops\":[\"encrypt\"],",                      false},
        {"\"key_ops\":[],",                                 false},
        {"\"alg\":\"RS256\",",                              true },
        {"\"alg\":\"RS512\",",                              false},
        {"\"alg\":\"RSA-OAEP\",",                           false},
        {"\"alg\":\"HS256\",",                              false},
        {"\"alg\":null,",                                   false},
        {"\"kid\":\"k\",",                                  true },
        {"\"kid\":1,",                                      false},
        {"\"d\":\"AQAB\",\"p\":\"AQ\",",                    true },
        {"\"x5u\":\"file:///etc/passwd\",\"x5c\":[\"A\"],", true },
        {"\"kid\":\"k\",\"kid\":\"l\",",                    false},
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        struct td_keys *keys = td_keys_new();
        int r = add(keys, set_of(cases[i].members), "HS256 RS256", "");
        if (r != (cases[i].taken ? 0 : TD_EINVAL))
            fail_msg("%s: %d", cases[i].members, r);
        if (r == 0)
            assert_int_equal(verify(keys, signed_tokens[0].token), 0);
        td_keys_unref(keys);
    }
}

/* A key that does not say its algorithm is bound to one, the first that fits it. */
static void a_key_is_for_one_algorithm(void **state)
{
    struct td_keys *keys = td_keys_new();

    assert_string_equal(signed_tokens[0].alg, "RS256");
    assert_string_equal(signed_tokens[1].alg, "PS256");
    assert_int_equal(add(keys, set_of(""), "ES256 PS256 RS256", ""), 0);
    assert_int_equal(td_keys_len(keys), 1);
    assert_int_equal(verify(keys, signed_tokens[0].token), TD_EUNAUTHORIZED);
    assert_int_equal(verify(keys, signed_tokens[1].token), 0);
    td_keys_unref(keys);
}

static void of_a_set_what_can_be_used_is_taken(void **state)
{
    char text[8192];
    struct td_keys *keys = td_keys_new();

    snprintf(text, sizeof(text),
             "\n {\"keys\":[%s,%s,{\"kty\":\"oct\",\"k\":\"AAAA\"},%s,7,%s,"
             "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}]}",
             rsa_1024_jwk, rsa_jwk, off_curve_jwk, p256_jwk);
    assert_int_equal(add(keys, text, "RS256 ES256", ""), 0);
    assert_int_equal(td_keys_len(keys), 2);
    td_keys_unref(keys);
}

static void a_set_has_a_limit(void **state)
{
    static char text[TD_KEY_TEXT_MAX];
    size_t len = (size_t)snprintf(text, sizeof(text), "{\"keys\":[%s", rsa_jwk);

    for (int i = 1; i < TD_KEYS_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, ",%s", rsa_jwk);
    snprintf(text + len, sizeof(text) - len, "]}");
    struct td_keys *keys = td_keys_new();
    assert_int_equal(add(keys, text, "RS256", ""), 0);
    assert_int_equal(td_keys_len(keys), TD_KEYS_MAX);
    td_keys_unref(keys);
    snprintf(text + len, sizeof(text) - len, ",%s]}", rsa_jwk);
    keys = td_keys_new();
    assert_int_equal(add(keys, text, "RS256", ""), TD_EINVAL);
    td_keys_unref(keys);
}

static void a_kid_chooses_of_a_set_and_names_a_single_key(void **state)
{
    struct td_keys *keys = td_keys_new();

    assert_int_equal(add(keys, set_of("\"kid\":\"k\","), "RS256", "other"), TD_EINVAL);
    assert_int_equal(add(keys, set_of("\"kid\":\"k\","), "RS256", "k"), 0);
    assert_int_equal(verify(keys, by_a), 0);
    assert_int_equal(verify(keys, by_a_other_kid), TD_EUNAUTHORIZED);
    td_keys_unref(keys);
    keys = td_keys_new();
    assert_int_equal(add(keys, rsa_pem, "RS256", "k2"), 0);
    assert_int_equal(verify(keys, by_a), TD_EUNAUTHORIZED);
    assert_int_equal(verify(keys, by_a_other_kid), 0);
    assert_int_equal(verify(keys, by_a_no_kid), 0);
    td_keys_unref(keys);
}

/* A public key is not signed with, nor taken for a secret. */
static void only_a_secret_signs(void **state)
{
    struct td_keys *keys = td_keys_new();
    struct td_buf token = TD_BUF_INIT(TD_TOKEN_LEN_MAX);
    const struct td_claims claims = {.sub = TD_S("ann"), .exp = NOW + 60000};
    struct td_key key = {TD_S("RS256"), TD_S(""), td_slice_str(rsa_pem)};
    const char *reason = NULL;

    assert_int_equal(td_keys_add(keys, &key, &reason), TD_EINVAL);
    assert_non_null(reason);
    assert_int_equal(add(keys, rsa_pem, "RS256", ""), 0);
    assert_int_equal(td_token_sign(keys, &rules, &claims, &token), TD_EINVAL);
    assert_false(td_keys_can_sign(keys));
    key = (struct td_key){TD_S("HS256"), TD_S(""), TD_S(SECRET)};
    assert_int_equal(td_keys_add(keys, &key, &reason), 0);
    assert_int_equal(td_token_sign(keys, &rules, &claims, &token), 0);
    td_buf_putc(&token, '\0');
    assert_int_equal(verify(keys, token.ptr), 0);
    td_buf_done(&token);
    td_keys_unref(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_sign_is_verified),
        cmocka_unit_test(a_changed_token_is_refused),
        cmocka_unit_test(what_is_forged_is_refused),
        cmocka_unit_test(a_jwk_is_the_same_key_as_its_pem),
        cmocka_unit_test(the_type_binds_the_algorithm),
        cmocka_unit_test(texts_that_are_no_key_are_refused),
        cmocka_unit_test(members_of_a_jwk),
        cmocka_unit_test(a_key_is_for_one_algorithm),
        cmocka_unit_test(of_a_set_what_can_be_used_is_taken),
        cmocka_unit_test(a_set_has_a_limit),
        cmocka_unit_test(a_kid_chooses_of_a_set_and_names_a_single_key),
        cmocka_unit_test(only_a_secret_signs),
    };

    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
