/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/cache.h"
#include "base/err.h"
#include "forge.h"

struct fixture {
    struct td_keys *keys;
    struct td_issuer issuer;
    struct td_auth auth;
    struct td_token_cache *cache;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->keys = forge_keys();
    f->issuer.keys = f->keys;
    f->auth = (struct td_auth){.issuers = &f->issuer, .n_issuers = 1};
    f->cache = td_token_cache_new(4);
    *state = f;
    return f->cache ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    td_token_cache_free(f->cache);
    td_keys_unref(f->keys);
    free(f);
    return 0;
}

/* A token of `sub` that lives `lives_s` from NOW on. */
static struct td_slice token_of(const char *sub, int lives_s)
{
    char payload[128];

    snprintf(payload, sizeof(payload), "{\"sub\":\"%s\",\"exp\":%d}", sub, 1800000000 + lives_s);
    return forge(HS256, payload);
}

static int verify(struct fixture *f, struct td_slice token, td_unix_ms now,
                  struct td_principal **ret_principal)
{
    const char *reason = NULL;
    int r = td_token_cache_verify(f->cache, &f->auth, token, now, ret_principal, &reason);

    assert_true(r == 0 || reason);
    return r;
}

static void one_token_has_one_principal(void **state)
{
    struct fixture *f = *state;
    struct td_principal *first, *second, *other;

    assert_int_equal(verify(f, token_of("ann", 60), NOW, &first), 0);
    assert_int_equal(verify(f, token_of("ann", 60), NOW, &second), 0);
    assert_int_equal(verify(f, token_of("ann", 61), NOW, &other), 0);
    assert_ptr_equal(first, second);
    assert_ptr_not_equal(first, other);
    assert_int_equal(td_token_cache_len(f->cache), 2);
    td_principal_unref(first);
    td_principal_unref(second);
    td_principal_unref(other);
}

/* The keys are asked only once: emptied, they refuse what is not remembered. */
static void the_signature_is_checked_once(void **state)
{
    struct fixture *f = *state;
    struct td_keys *none = td_keys_new();
    struct td_principal *p;

    assert_int_equal(verify(f, token_of("ann", 60), NOW, &p), 0);
    td_principal_unref(p);
    f->issuer.keys = none;
    assert_int_equal(verify(f, token_of("ann", 60), NOW, &p), 0);
    td_principal_unref(p);
    assert_int_equal(verify(f, token_of("bob", 60), NOW, &p), TD_EUNAUTHORIZED);
    td_token_cache_clear(f->cache); /* as a reload does */
    assert_int_equal(verify(f, token_of("ann", 60), NOW, &p), TD_EUNAUTHORIZED);
    assert_int_equal(td_token_cache_len(f->cache), 0);
    td_keys_unref(none);
}

static void a_remembered_token_expires(void **state)
{
    struct fixture *f = *state;
    struct td_principal *p, *again;

    assert_int_equal(verify(f, token_of("ann", 60), NOW, &p), 0);
    assert_int_equal(verify(f, token_of("ann", 60), NOW + 59999, &again), 0);
    td_principal_unref(again);
    assert_int_equal(verify(f, token_of("ann", 60), NOW + 60000, &again), TD_EEXPIRED);
    assert_int_equal(td_token_cache_len(f->cache), 0);
    assert_true(td_slice_eq(p->subject, TD_S("ann"))); /* who holds it keeps it */
    td_principal_unref(p);
}

static void failures_are_not_remembered(void **state)
{
    struct fixture *f = *state;
    struct td_keys *none = td_keys_new();
    struct td_principal *p;

    f->issuer.keys = none;
    assert_int_equal(verify(f, token_of("ann", 60), NOW, &p), TD_EUNAUTHORIZED);
    assert_int_equal(td_token_cache_len(f->cache), 0);
    f->issuer.keys = f->keys;
    assert_int_equal(verify(f, token_of("ann", 60), NOW, &p), 0);
    td_principal_unref(p);
    td_keys_unref(none);
}

static void the_longest_unused_makes_room(void **state)
{
    struct fixture *f = *state;
    const char *subs[] = {"a", "b", "c", "d"};
    struct td_keys *none = td_keys_new();
    struct td_principal *p;

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(verify(f, token_of(subs[i], 60), NOW, &p), 0);
        td_principal_unref(p);
    }
    assert_int_equal(verify(f, token_of("a", 60), NOW, &p), 0); /* now b is the oldest */
    td_principal_unref(p);
    assert_int_equal(verify(f, token_of("e", 60), NOW, &p), 0);
    td_principal_unref(p);
    assert_int_equal(td_token_cache_len(f->cache), 4);
    f->issuer.keys = none; /* what is still known shows */
    assert_int_equal(verify(f, token_of("b", 60), NOW, &p), TD_EUNAUTHORIZED);
    assert_int_equal(verify(f, token_of("a", 60), NOW, &p), 0);
    td_principal_unref(p);
    assert_int_equal(verify(f, token_of("e", 60), NOW, &p), 0);
    td_principal_unref(p);
    td_keys_unref(none);
}

static void many_tokens_stay_bounded(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 100; i++) {
        struct td_principal *p;
        assert_int_equal(verify(f, token_of("ann", 60 + i), NOW, &p), 0);
        td_principal_unref(p);
        assert_true(td_token_cache_len(f->cache) <= 4);
    }
}

/* A wrong token that looks like a remembered one, but for a byte, is not it. */
static void a_near_miss_is_a_miss(void **state)
{
    struct fixture *f = *state;
    struct td_principal *p;
    struct td_slice good = token_of("ann", 60);
    char text[512];

    assert_int_equal(verify(f, good, NOW, &p), 0);
    td_principal_unref(p);
    for (size_t i = 0; i < good.len; i++) {
        memcpy(text, good.ptr, good.len);
        text[i] = (char)(text[i] ^ 1);
        assert_int_equal(verify(f, td_slice(text, good.len), NOW, &p), TD_EUNAUTHORIZED);
    }
    assert_int_equal(verify(f, td_slice(good.ptr, good.len - 1), NOW, &p), TD_EUNAUTHORIZED);
    assert_int_equal(verify(f, TD_S(""), NOW, &p), TD_EUNAUTHORIZED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_token_has_one_principal),   TEST(the_signature_is_checked_once),
        TEST(a_remembered_token_expires),    TEST(failures_are_not_remembered),
        TEST(the_longest_unused_makes_room), TEST(many_tokens_stay_bounded),
        TEST(a_near_miss_is_a_miss),
    };

    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
