/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "base/err.h"
#include "base/slice.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The stable words of docs/protocol.md; a client may switch on each of them. */
static const char *const words[] = {
    "bad_request",      "unauthorized", "token_expired",
    "forbidden",        "not_found",    "reserved_topic",
    "version_conflict", "lock_held",    "idempotency_mismatch",
    "too_large",        "rate_limited", "too_many_connections",
    "log_full",         "log_failed",   "draining",
    "unavailable",
};

static const struct {
    int err;
    const char *name;
} table[] = {
#define TD_ERR(name, number, code, http, close, hint) {TD_E##name, #name},
#include "base/err.def"
#undef TD_ERR
};

static bool is_word(const char *code)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(words); i++)
        if (strcmp(words[i], code) == 0)
            return true;
    return false;
}

static void test_table(void **state)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(table); i++) {
        int err = table[i].err, close = td_err_close(err);
        assert_true(err < -1000);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(err, table[k].err);
        assert_true(is_word(td_err_code(err)));
        assert_string_equal(td_err_name(err), table[i].name);
        assert_in_range(td_err_http(err), 400, 599);
        /* RFC 6455 §7.4: what an endpoint may send. */
        assert_true((close >= 1001 && close <= 1014 && (close < 1004 || close > 1006)) ||
                    (close >= 4000 && close <= 4999));
        size_t len = strlen(td_err_hint(err));
        assert_true(len > 5 && td_err_hint(err)[len - 1] == '.');
        /* A frame has 123 bytes for a reason; the word goes there, not the sentence. */
        assert_true(strlen(td_err_code(err)) <= 123);
    }
}

static void test_errno(void **state)
{
    assert_string_equal(td_err_code(-ENOSPC), "unavailable");
    assert_int_equal(td_err_http(-EIO), 503);
    assert_int_equal(td_err_close(-EIO), 1013);
    assert_string_equal(td_err_name(-ENOENT), "No such file or directory");
    assert_non_null(td_err_name(-999)); /* no such errno */
    assert_non_null(td_err_name(0));
    assert_string_equal(td_err_code(-5000), "unavailable");
    assert_string_equal(td_err_name(-5000), "UNKNOWN");
}

static void test_expect_counts(void **state)
{
    uint64_t before = td_expect_failures;

    assert_false(td_expect_aborts);
    assert_true(TD_EXPECT(before == td_expect_failures));
    assert_int_equal(td_expect_failures, before);
    assert_false(TD_EXPECT(before != td_expect_failures));
    assert_int_equal(td_expect_failures, before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_errno),
        cmocka_unit_test(test_expect_counts),
    };

    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
