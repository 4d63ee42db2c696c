/* SPDX-License-Identifier: Apache-2.0 */
#include "base/compiler.h"
#include "base/utf8.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    struct td_slice text;
    size_t
        bad_at; /* the byte at which no continuation could make it valid; SIZE_MAX when there is none */
    bool complete;
} vectors[] = {
#define V(text, bad_at, complete)                     \
    {                                                 \
        {"" text, sizeof(text) - 1}, bad_at, complete \
    }
    V("", SIZE_MAX, true),
    V("plain ascii, longer than one word", SIZE_MAX, true),
    V("\x00\x7f", SIZE_MAX, true),
    V("\xc2\x80\xdf\xbf", SIZE_MAX, true),
    V("\xe0\xa0\x80\xec\xbf\xbf\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", SIZE_MAX, true),
    V("\xf0\x90\x80\x80\xf3\xbf\xbf\xbf\xf4\x8f\xbf\xbf", SIZE_MAX, true),
    V("1234567\xe2\x82\xac"
      "12345678\xf0\x9f\x98\x80",
      SIZE_MAX, true),
    V("\xe2\x82", SIZE_MAX, false),
    V("\xf0", SIZE_MAX, false),
    V("abc\xc3", SIZE_MAX, false),
    V("\x80", 0, false),
    V("\xbf", 0, false),
    V("\xc0\x80", 0, false),
    V("\xc1\xbf", 0, false),
    V("\xe0\x9f\xbf", 1, false),
    V("\xed\xa0\x80", 1, false),
    V("\xf0\x8f\xbf\xbf", 1, false),
    V("\xf4\x90\x80\x80", 1, false),
    V("\xf5\x80\x80\x80", 0, false),
    V("\xff", 0, false),
    V("\xc3(", 1, false),
    V("\xe2\x82(", 2, false),
    V("\xf0\x9f\x98(", 3, false),
    V("12345678\x80", 8, false),
    V("\xc3\xa9\xc3\xc3", 3, false),
};

/* Whole, and cut in three at each pair of places: the answer is the same, and comes at the faulty byte. */
static void test_split_everywhere(void **state)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(vectors); i++) {
        struct td_slice text = vectors[i].text;
        bool good = vectors[i].bad_at == SIZE_MAX;
        assert_int_equal(td_utf8_valid(text), good && vectors[i].complete);
        for (size_t a = 0; a <= text.len; a++) {
            for (size_t b = a; b <= text.len; b++) {
                struct td_utf8 utf8 = {0};
                size_t cuts[] = {0, a, b, text.len};
                for (size_t k = 0; k < 3; k++) {
                    struct td_slice part = td_slice(text.ptr + cuts[k], cuts[k + 1] - cuts[k]);
                    bool want = good || vectors[i].bad_at >= cuts[k + 1];
                    assert_int_equal(td_utf8_feed(&utf8, part), want);
                }
                assert_int_equal(td_utf8_complete(&utf8), good && vectors[i].complete);
            }
        }
    }
}

static void test_failed_stays_failed(void **state)
{
    struct td_utf8 utf8 = {0};

    assert_false(td_utf8_feed(&utf8, TD_S("\xff")));
    assert_false(td_utf8_feed(&utf8, TD_S("fine from here on")));
    assert_false(td_utf8_feed(&utf8, TD_S("")));
    assert_false(td_utf8_complete(&utf8));
}

/* Each code point in each length of encoding: valid only as the shortest form, and never a surrogate. */
static void test_every_code_point(void **state)
{
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (uint32_t code = 0; code < 0x140000; code++) {
        for (size_t len = 2; len <= 4; len++) {
            char text[4];
            uint32_t rest = code;
            for (size_t i = len - 1; i > 0; i--, rest >>= 6)
                text[i] = (char)(0x80 | (rest & 0x3f));
            if (rest >= (0x80u >> len))
                continue;
            text[0] = (char)(leads[len] | rest);
            uint32_t least = len == 2 ? 0x80 : len == 3 ? 0x800 : 0x10000;
            bool want = code >= least && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
            if (td_utf8_valid(td_slice(text, len)) != want ||
                td_utf8_char(td_slice(text, len)) != (want ? len : 0))
                fail_msg("U+%04X in %zu bytes", code, len);
        }
    }
}

static void test_char(void **state)
{
    assert_int_equal(td_utf8_char(TD_S("")), 0);
    assert_int_equal(td_utf8_char(TD_S("ab")), 1);
    assert_int_equal(td_utf8_char(TD_S("\xc3\xa9z")), 2);
    assert_int_equal(td_utf8_char(TD_S("\xe2\x82")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_everywhere),
        cmocka_unit_test(test_failed_stays_failed),
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_char),
    };

    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
