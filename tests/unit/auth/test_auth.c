/* SPDX-License-Identifier: Apache-2.0 */
/* Several issuers: keys never cross, and a cache changes no answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/cache.h"
#include "base/err.h"
#include "forge.h"
#include "signatures.h"

enum { A, B, SHORT, N_ISSUERS };

struct fixture {
    struct td_keys *keys[N_ISSUERS];
    struct td_issuer issuers[N_ISSUERS];
    struct td_auth auth;
    size_t asked[N_ISSUERS];
};

static struct td_keys *keys_of(const char *jwk, const char *kid, const char *alg)
{
    char text[2048];
    const char *reason;
    struct td_keys *keys = td_keys_new();
    struct td_slice algs[] = {td_slice_str(alg)};
    const struct td_key_choice choice = {
        algs, 1, {NULL, 0}
    };

    snprintf(text, sizeof(text), "{\"keys\":[{\"kid\":\"%s\",%s]}", kid, jwk + 1);
    assert_int_equal(td_keys_add_text(keys, td_slice_str(text), &choice, &reason), 0);
    return keys;
}

static void missing(size_t issuer, void *arg)
{
    struct fixture *f = arg;

    f->asked[issuer]++;
}

/* Issuers `a` and `b`, each with an RSA key that is called `k`, and a secret for all others. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->keys[A] = keys_of(rsa_jwk, "k", "RS256");
    f->keys[B] = keys_of(other_rsa_jwk, "k", "RS256");
    f->keys[SHORT] = forge_keys();
    for (size_t i = 0; i < N_ISSUERS; i++)
        f->issuers[i].keys = f->keys[i];
    f->issuers[A].rules.issuer = TD_S("a");
    f->issuers[B].rules.issuer = TD_S("b");
    f->auth = (struct td_auth){
        .issuers = f->issuers, .n_issuers = N_ISSUERS, .missing = missing, .arg = f};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ISSUERS; i++)
        td_keys_unref(f->keys[i]);
    free(f);
    return 0;
}

static int verify(const struct fixture *f, struct td_slice token)
{
    struct td_principal *principal = NULL;
    const char *reason = NULL;
    int r = td_auth_verify(&f->auth, token, NOW, &principal, &reason);

    assert_true((r == 0) == (principal != NULL));
    assert_true(r == 0 || reason);
    td_principal_unref(principal);
    return r;
}

static struct td_slice by_secret(const char *iss)
{
    char payload[256];

    snprintf(payload, sizeof(payload), "{%s\"sub\":\"ann\",\"exp\":1800000060}", iss);
    return forge(HS256, payload);
}

static void each_issuer_has_its_own_keys(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(verify(f, td_slice_str(by_a)), 0);
    assert_int_equal(verify(f, td_slice_str(by_b)), 0);
    assert_int_equal(verify(f, by_secret("")), 0);
    assert_int_equal(verify(f, by_secret("\"iss\":\"c\",")), 0);
}

static void keys_never_cross(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(verify(f, td_slice_str(by_a_for_b)), TD_EUNAUTHORIZED);
    assert_int_equal(verify(f, by_secret("\"iss\":\"a\",")), TD_EUNAUTHORIZED);
    assert_int_equal(verify(f, by_secret("\"iss\":\"b\",")), TD_EUNAUTHORIZED);
    assert_int_equal(verify(f, td_slice_str(signed_tokens[0].token)), TD_EUNAUTHORIZED);
    f->issuers[A].rules.issuer =
        TD_S("A"); /* now nobody has the name; the secret is for it, not a's key */
    assert_int_equal(verify(f, td_slice_str(by_a)), TD_EUNAUTHORIZED);
}

/* Names that differ in what a careless comparison would overlook are other names: they come to the short form. */
static void a_name_is_compared_as_a_whole(void **state)
{
    static const char *const names[] = {
        "\"iss\":\"A\",",  "\"iss\":\"a \",",  "\"iss\":\"\",", "\"iss\":\"aa\",",
        "\"iss\":\"a/\",", "\"iss\":[\"a\"],", "\"iss\":null,", "\"iss\":{\"a\":\"a\"},",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < TD_ARRAY_LEN(names); i++)
        if (verify(f, by_secret(names[i])) != 0)
            fail_msg("refused: %s", names[i]);
    f->auth.n_issuers = SHORT; /* without a short form there is nobody for them */
    for (size_t i = 0; i < TD_ARRAY_LEN(names); i++)
        if (verify(f, by_secret(names[i])) != TD_EUNAUTHORIZED)
            fail_msg("accepted: %s", names[i]);
}

static void a_short_form_with_a_name_is_for_that_name(void **state)
{
    struct fixture *f = *state;

    f->issuers[SHORT].rules.issuer = TD_S("c");
    assert_int_equal(verify(f, by_secret("\"iss\":\"c\",")), 0);
    assert_int_equal(verify(f, by_secret("")), TD_EUNAUTHORIZED);
    assert_int_equal(verify(f, by_secret("\"iss\":\"d\",")), TD_EUNAUTHORIZED);
}

static void an_audience_is_its_issuers(void **state)
{
    struct fixture *f = *state;

    f->issuers[A].rules.audience = TD_S("tidings");
    assert_int_equal(verify(f, td_slice_str(by_a)), TD_EUNAUTHORIZED);
    assert_int_equal(verify(f, td_slice_str(by_b)), 0);
    assert_int_equal(verify(f, by_secret("")), 0);
}

static void keys_that_are_not_loaded_are_no_refusal(void **state)
{
    struct fixture *f = *state;

    f->issuers[A].keys = NULL;
    assert_int_equal(verify(f, td_slice_str(by_a)), TD_EUNAVAILABLE);
    assert_int_equal(verify(f, td_slice_str(by_b)), 0);
    assert_int_equal(verify(f, by_secret("\"iss\":\"a\",")), TD_EUNAVAILABLE);
    assert_int_equal(f->asked[A], 0);
}

/* Only a token that names a key which is not there makes one look for newer keys. */
static void an_unknown_kid_is_told(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(verify(f, td_slice_str(by_a)), 0);
    assert_int_equal(verify(f, td_slice_str(by_a_for_b)), TD_EUNAUTHORIZED); /* a forged one */
    assert_int_equal(f->asked[A] + f->asked[B], 0);
    assert_int_equal(verify(f, td_slice_str(by_a_other_kid)), TD_EUNAUTHORIZED);
    assert_int_equal(f->asked[A], 1);
    assert_int_equal(verify(f, td_slice_str(by_a_ps)), TD_EUNAUTHORIZED);
    assert_int_equal(f->asked[A], 2);
    f->issuers[A].keys =
        f->keys[B]; /* without a kid every key is tried, and the right one may be new */
    assert_int_equal(verify(f, td_slice_str(by_a_no_kid)), TD_EUNAUTHORIZED);
    assert_int_equal(f->asked[A], 3);
    assert_int_equal(f->asked[B] + f->asked[SHORT], 0);
}

/* With the cache and without it the answer is the same, for every token under every table, in any order. */
static void a_cache_changes_no_answer(void **state)
{
    struct fixture *f = *state;
    const char *tokens[64];
    size_t n = 0;
    unsigned random = 12345;

    tokens[n++] = by_a;
    tokens[n++] = by_b;
    tokens[n++] = by_a_for_b;
    tokens[n++] = by_a_no_kid;
    tokens[n++] = by_a_other_kid;
    for (size_t i = 0; i < 8; i++)
        tokens[n++] = forged_tokens[i].token;
    for (int round = 0; round < 20; round++) {
        struct td_token_cache *cache = td_token_cache_new(3);
        for (size_t i = 0; i < N_ISSUERS; i++) { /* as a reload might leave them */
            random = random * 1103515245 + 12345;
            f->issuers[i].keys = random >> 16 & 1 ? f->keys[i] : f->keys[random >> 20 & 1];
        }
        for (int i = 0; i < 40; i++) {
            struct td_principal *principal = NULL;
            const char *reason;
            random = random * 1103515245 + 12345;
            struct td_slice token = td_slice_str(tokens[(random >> 16) % n]);
            int r = td_token_cache_verify(cache, &f->auth, token, NOW, &principal, &reason);
            assert_int_equal(r, verify(f, token));
            td_principal_unref(principal);
        }
        td_token_cache_free(cache);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_issuer_has_its_own_keys),  TEST(keys_never_cross),
        TEST(a_name_is_compared_as_a_whole), TEST(a_short_form_with_a_name_is_for_that_name),
        TEST(an_audience_is_its_issuers),    TEST(keys_that_are_not_loaded_are_no_refusal),
        TEST(an_unknown_kid_is_told),        TEST(a_cache_changes_no_answer),
    };

    return cmocka_run_group_tests_name("auth", tests, NULL, NULL);
}
