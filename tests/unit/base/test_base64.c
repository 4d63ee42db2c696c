/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"
#include "base/err.h"
#include "base/rng.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* RFC 4648 §10. */
static void test_vectors(void **state)
{
    static const char *const cases[][2] = {
        {"",             ""        },
        {"f",            "Zg=="    },
        {"fo",           "Zm8="    },
        {"foo",          "Zm9v"    },
        {"foob",         "Zm9vYg=="},
        {"fooba",        "Zm9vYmE="},
        {"foobar",       "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/"    },
    };
    char text[16], bytes[16];

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        struct td_slice plain = td_slice_str(cases[i][0]), coded = td_slice_str(cases[i][1]);
        assert_int_equal(td_base64_encode(plain, text), coded.len);
        assert_int_equal(TD_BASE64_LEN(plain.len), coded.len);
        assert_string_equal(text, coded.ptr);
        assert_int_equal(td_base64_decode(coded, bytes, plain.len), plain.len);
        assert_memory_equal(bytes, plain.ptr, plain.len);
        if (plain.len > 0)
            assert_int_equal(td_base64_decode(coded, bytes, plain.len - 1), TD_EINVAL);
    }
}

static void test_refused(void **state)
{
    static const char *const cases[] = {
        "Z",        "Zg",
        "Zg=",      "Zg===",
        "=",        "==",
        "===",      "====",
        "Z===",     "Zh==",
        "Zm9=",     "Zm9vZh==",
        "Zg==Zg==", "Zm8=Zm8=",
        "Zm 9",     "Zm9\n",
        "Zm9-",     "Zm9_",
        "=m9v",     "Z=9v",
        "Zm=v",     "Zm9v\xff\xff\xff\xff",
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        char bytes[16] = "untouched";
        if (td_base64_decode(td_slice_str(cases[i]), bytes, sizeof(bytes)) != TD_EINVAL)
            fail_msg("%s", cases[i]);
        assert_string_equal(bytes, "untouched");
    }
}

/* Of all texts of one group, those that decode are those that are written: the form is canonical. */
static void test_canonical(void **state)
{
    static const char letters[] = "AQgwxyz048+/=-";
    char text[4], bytes[3], back[5];

    for (size_t i = 0; i < 14 * 14 * 14 * 14; i++) {
        for (size_t k = 0, rest = i; k < 4; k++, rest /= 14)
            text[k] = letters[rest % 14];
        int n = td_base64_decode(td_slice(text, 4), bytes, sizeof(bytes));
        if (n < 0)
            continue;
        assert_int_equal(td_base64_encode(td_slice(bytes, (size_t)n), back), 4);
        assert_memory_equal(back, text, 4);
    }
}

static void test_round_trip(void **state)
{
    struct td_rng rng;
    char bytes[64], text[TD_BASE64_LEN(sizeof(bytes)) + 1], back[sizeof(bytes)];

    td_rng_init(&rng, 3);
    for (size_t round = 0; round < 2000; round++) {
        size_t len = td_rng_below(&rng, sizeof(bytes) + 1);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)td_rng_next(&rng);
        size_t n = td_base64_encode(td_slice(bytes, len), text);
        assert_int_equal(td_base64_decode(td_slice(text, n), back, sizeof(back)), len);
        assert_memory_equal(back, bytes, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
