/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/slice.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_compare(void **state)
{
    assert_true(td_slice_eq(TD_S(""), (struct td_slice){NULL, 0}));
    assert_false(td_slice_eq(TD_S("a"), TD_S("A")));
    assert_true(td_slice_eq_nocase(TD_S("Content-Type@[`{"), TD_S("cONTENT-tYPE@[`{")));
    assert_false(td_slice_eq_nocase(TD_S("@"), TD_S("`")));
    assert_false(td_slice_eq_nocase(TD_S("["), TD_S("{")));
    assert_false(td_slice_eq_nocase(TD_S("a"), TD_S("ab")));
    assert_true(td_slice_starts(TD_S("abc"), TD_S("ab")));
    assert_true(td_slice_starts(TD_S("abc"), TD_S("")));
    assert_false(td_slice_starts(TD_S("a"), TD_S("ab")));
    assert_int_equal(td_slice_cmp(TD_S("ab"), TD_S("ab")), 0);
    assert_true(td_slice_cmp(TD_S("a"), TD_S("ab")) < 0);
    assert_true(td_slice_cmp(TD_S("ab"), TD_S("a")) > 0);
    assert_true(td_slice_cmp(TD_S("\x80"), TD_S("a")) > 0);
    assert_true(td_slice_cmp((struct td_slice){NULL, 0}, TD_S("a")) < 0);
    assert_int_equal(td_slice_str(NULL).len, 0);
}

static void test_trim(void **state)
{
    assert_true(td_slice_eq(td_slice_trim(TD_S(" \t a b\t ")), TD_S("a b")));
    assert_int_equal(td_slice_trim(TD_S(" \t ")).len, 0);
    assert_int_equal(td_slice_trim(TD_S("")).len, 0);
    assert_true(td_slice_eq(td_slice_trim(TD_S("\na\r")), TD_S("\na\r")));
}

static void test_split(void **state)
{
    static const char *const want[] = {"a", "", "bc", ""};
    struct td_slice rest = TD_S("a//bc/"), part;

    for (size_t i = 0; i < TD_ARRAY_LEN(want); i++) {
        assert_true(td_slice_split(&rest, '/', &part));
        assert_true(td_slice_eq(part, td_slice_str(want[i])));
    }
    assert_false(td_slice_split(&rest, '/', &part));
    assert_false(td_slice_split(&rest, '/', &part));
    rest = TD_S("");
    assert_true(td_slice_split(&rest, '/', &part));
    assert_int_equal(part.len, 0);
    assert_false(td_slice_split(&rest, '/', &part));
}

static void test_u64(void **state)
{
    static const char *const refused[] = {"",
                                          "-1",
                                          "+1",
                                          " 1",
                                          "1 ",
                                          "1a",
                                          "0x1",
                                          "18446744073709551616",
                                          "18446744073709551620",
                                          "99999999999999999999",
                                          "184467440737095516150"};
    uint64_t value = 7;

    assert_int_equal(td_slice_u64(TD_S("18446744073709551615"), &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(td_slice_u64(TD_S("0"), &value), 0);
    assert_int_equal(value, 0);
    value = 7;
    for (size_t i = 0; i < TD_ARRAY_LEN(refused); i++)
        assert_int_equal(td_slice_u64(td_slice_str(refused[i]), &value), TD_EINVAL);
    assert_int_equal(td_slice_u64(TD_S("1\0"), &value), TD_EINVAL);
    assert_int_equal(value, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_u64),
    };

    return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
