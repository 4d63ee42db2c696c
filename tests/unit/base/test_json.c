/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/rng.h"
#include "json_peer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct vector {
    struct td_slice text;
    int expect; /* 0, TD_EJSON or TD_EUTF8 */
    size_t at;  /* of the fault */
};

#define YES(text)                         \
    {                                     \
        {"" text, sizeof(text) - 1}, 0, 0 \
    }
#define NO(text, at)                              \
    {                                             \
        {"" text, sizeof(text) - 1}, TD_EJSON, at \
    }
#define NOT_UTF8(text, at)                        \
    {                                             \
        {"" text, sizeof(text) - 1}, TD_EUTF8, at \
    }

/* clang-format off */
static const struct vector vectors[] = {
    /* Values and blanks (RFC 8259 §2, §3). */
    YES("null"), YES("true"), YES("false"), YES("0"), YES("\"\""), YES("[]"), YES("{}"),
    YES(" \t\r\n[ \t\r\n] \t\r\n"), YES(" { } "), YES("[null]"), YES("[ 1 , 2 ]"),
    NO("", 0), NO(" ", 1), NO("\xef\xbb\xbf{}", 0), NO("\f1", 0), NO("\v1", 0), NO("\xc2\xa0""1", 0),
    NO("nul", 0), NO("nulL", 0), NO("True", 0), NO("truex", 4), NO("nan", 0), NO("NaN", 0), NO("Infinity", 0),
    NO("undefined", 0), NO("1 2", 2), NO("{}{}", 2), NO("[],", 2), NO("1//", 1), NO("/**/1", 0), NO("#", 0),
    NO("'a'", 0), NO("1\0", 1), NO("\0", 0), NO("[\0]", 1), NO("null null", 5), NO("*", 0), NO("<null>", 0),
    /* Arrays and objects (§4, §5). */
    YES("[1,[2,[3]],{}]"), YES("{\"a\":1}"), YES("{\"a\":1,\"a\":2}"), YES("{\"\":0}"), YES("{\"a\" : { \"b\" : [ ] } }"),
    YES("{\"a\":{},\"b\":[],\"c\":\"\"}"), YES("[[],[[]],[]]"), YES("{\"\\u0061\":1}"),
    NO("[", 1), NO("]", 0), NO("[1", 2), NO("[1,", 3), NO("[1,]", 3), NO("[,1]", 1), NO("[,]", 1), NO("[1,,2]", 3),
    NO("[1 2]", 3), NO("[1}", 2), NO("[\"a\":1]", 4), NO("[1]]", 3), NO("[x", 1), NO("[\"", 2), NO("[1:2]", 2),
    NO("{", 1), NO("}", 0), NO("{]", 1), NO("{\"a\"", 4), NO("{\"a\":", 5), NO("{\"a\":1", 6), NO("{\"a\":1,", 7), NO("{\"a\":1,}", 7),
    NO("{,}", 1), NO("{\"a\"}", 4), NO("{\"a\" 1}", 5), NO("{a:1}", 1), NO("{1:1}", 1), NO("{null:1}", 1), NO("{'a':1}", 1),
    NO("{\"a\":1]", 6), NO("{\"a\"::1}", 5), NO("{\"a\":1 \"b\":2}", 7), NO("{\"a\":1,,\"b\":2}", 7), NO("{\"a\",1}", 4),
    NO("{\"a\":1}}", 7), NO("{[]:1}", 1), NO("{{}}", 1), NO("[{\"a\":}]", 6), NO("{:1}", 1),
    /* Numbers (§6). */
    YES("-0"), YES("1"), YES("-1"), YES("10"), YES("1.5"), YES("0.0"), YES("-0.0"), YES("1e5"), YES("1E5"), YES("1e+5"),
    YES("1e-5"), YES("0e0"), YES("0e+00"), YES("1.5e10"), YES("123456789012345678901234567890"), YES("1e999"), YES("-1e999"),
    YES("0.1e-999"), YES("[1E400,-1.5E+4000]"), YES("-9223372036854775808"), YES("18446744073709551616"),
    NO("-", 1), NO("+1", 0), NO("01", 1), NO("-01", 2), NO("00", 1), NO(".5", 0), NO("1.", 2), NO("-.5", 1), NO("1.e5", 2),
    NO("1e", 2), NO("1e+", 3), NO("1e-", 3), NO("1ee5", 2), NO("1e5.5", 3), NO("1.5.5", 3), NO("0x1", 1), NO("1_0", 1), NO("--1", 1),
    NO("1a", 1), NO("-a", 1), NO("1,5", 1), NO("[1-1]", 2), NO("[1-1e999]", 2), NO("[1e999e21]", 6), NO("[1e999", 6), NO("[-]", 2), NO("0E", 2), NO("2.e+3", 2),
    NO("[1+2]", 2), NO("[true1e999]", 5), NO("-Infinity", 1), NO("1\xe5", 1), NO("[1.]", 3), NO("\xef\xbc\x91", 0), NO("012", 1), NO("-2.", 3),
    /* Strings (§7). */
    YES("\"a\""), YES("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), YES("\"\\u0041\\u00e9\\u20ac\""), YES("\"\\u0000\""), YES("\"\\uABCD\\uabcd\""),
    YES("\"\\ud83d\\ude00\""), YES("\"\\udbff\\udfff\""), YES("\"\x7f\""), YES("\"\\\\u0000\""), YES("\"/*\""), YES("\"\\uffff\\ufffe\""),
    YES("{\"\\u0000\":\"\\u0000\"}"), YES("\"plain text that is longer than a word of eight\""), YES("\"[{:,}]\""), YES("\"\\u2028\\u2029\""),
    NO("\"", 1), NO("\"a", 2), NO("\"\\", 1), NO("\"\\\"", 3), NO("\"\\a\"", 1), NO("\"\\'\"", 1), NO("\"\\x41\"", 1), NO("\"\\0\"", 1),
    NO("\"\\u\"", 1), NO("\"\\u1\"", 1), NO("\"\\u12\"", 1), NO("\"\\u123\"", 1), NO("\"\\u123g\"", 1), NO("\"\\U0041\"", 1), NO("\"\\u+123\"", 1),
    NO("\"\n\"", 1), NO("\"\t\"", 1), NO("\"\x1f\"", 1), NO("\"\0\"", 1), NO("\"12345678\n\"", 9), NO("\"1234567890\x01\"", 11), NO("\"a\"b\"", 3),
    NO("\"\\ud800\"", 1), NO("\"\\udc00\"", 1), NO("\"\\ud800\\ud800\"", 1), NO("\"\\ud800a\"", 1), NO("\"\\ud800\\u0041\"", 1),
    NO("\"\\udc00\\ud800\"", 1), NO("\"\\ud800\\n\"", 1), NO("\"\\ud800\\u\"", 1), NO("\"\\ud800\\udc0\"", 1), NO("\"ab\\ud83d\"", 3), NO("\"\\ \"", 1),
    /* UTF-8 (§8.1; RFC 3629 §4). */
    YES("\"\xc2\x80\xdf\xbf\""), YES("\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""), YES("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
    YES("{\"\xc3\xa9\":\"\xe2\x82\xac and some more plain text \xf0\x9f\x98\x80\"}"), YES("\"\xef\xbb\xbf\""), YES("\"\xe2\x80\xa8\""),
    NOT_UTF8("\"\x80\"", 1), NOT_UTF8("\"\xff\"", 1), NOT_UTF8("\"\xc0\x80\"", 1), NOT_UTF8("\"\xc1\xbf\"", 1), NOT_UTF8("\"\xe0\x9f\xbf\"", 1),
    NOT_UTF8("\"\xed\xa0\x80\"", 1), NOT_UTF8("\"\xf0\x8f\xbf\xbf\"", 1), NOT_UTF8("\"\xf4\x90\x80\x80\"", 1), NOT_UTF8("\"\xf5\x80\x80\x80\"", 1),
    NOT_UTF8("\"\xc3\"", 1), NOT_UTF8("\"\xe2\x82\"", 1), NOT_UTF8("\"\xf0\x9f\x98\"", 1), NOT_UTF8("\"\xc3", 1), NOT_UTF8("\"ok\xc3\xa9\xe9\"", 5),
    NOT_UTF8("{\"\xe9\":1}", 2), NOT_UTF8("\"12345678\x80\"", 9), NOT_UTF8("\"a\xfe\"", 2),
};
/* clang-format on */

static void test_vectors(void **state)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct td_slice value = TD_S("untouched");
        size_t at = 0;
        int r = td_json_check(v->text, &value, &at);
        if (r != v->expect || at != v->at)
            fail_msg("%.*s: %d at %zu", (int)v->text.len, v->text.ptr, r, at);
        if (r < 0)
            assert_true(td_slice_eq(value, TD_S("untouched")));
        if (!json_peer_agrees(v->text))
            fail_msg("%.*s: jansson differs", (int)v->text.len, v->text.ptr);
    }
}

/* Every prefix, and every text with one byte dropped, doubled or changed, in memory that ends where the
 * text ends, so that a read beyond it is seen. */
static void test_near_vectors(void **state)
{
    static const char changes[] = "\"\\{}[]:,0e-.u \n\xc3\xa9t";

    for (size_t i = 0; i < TD_ARRAY_LEN(vectors); i++) {
        struct td_slice text = vectors[i].text;
        for (size_t at = 0; at < text.len; at++) {
            for (size_t c = 0; c < sizeof(changes) + 2; c++) {
                struct td_buf buf = TD_BUF_INIT(text.len + 1);
                td_buf_put(&buf, td_slice_to(text, at));
                if (c > 0)
                    td_buf_putc(&buf, c > sizeof(changes) ? text.ptr[at] : changes[c - 1]);
                if (c <= sizeof(changes) + 1 && c != 1)
                    td_buf_put(&buf, td_slice_from(text, at + (c <= sizeof(changes))));
                char *exact = malloc(buf.len ? buf.len : 1);
                assert_non_null(exact);
                memcpy(exact, buf.ptr ? buf.ptr : "", buf.len);
                if (!json_peer_agrees(td_slice(exact, buf.len)))
                    fail_msg("%.*s: jansson differs", (int)buf.len, exact);
                free(exact);
                td_buf_done(&buf);
            }
        }
    }
}

static void test_depth(void **state)
{
    static const char *const opens[] = {"[", "{\"a\":", "[{\"a\":"};
    static const char *const closes[] = {"]", "}", "}]"};

    for (size_t kind = 0; kind < TD_ARRAY_LEN(opens); kind++) {
        size_t per = kind == 2 ? 2 : 1;
        for (size_t n = 62 / per; n <= 66 / per; n++) {
            struct td_buf buf = TD_BUF_INIT(4096);
            struct td_slice value;
            for (size_t i = 0; i < n; i++)
                td_buf_puts(&buf, opens[kind]);
            td_buf_puts(&buf, "1");
            for (size_t i = 0; i < n; i++)
                td_buf_puts(&buf, closes[kind]);
            assert_int_equal(td_json_check(td_buf_slice(&buf), &value, NULL),
                             n * per <= TD_JSON_DEPTH_MAX ? 0 : TD_EJSON);
            assert_true(json_peer_agrees(td_buf_slice(&buf)));
            td_buf_done(&buf);
        }
    }
    struct td_buf deep = TD_BUF_INIT(100000);
    struct td_slice value;
    while (td_buf_putc(&deep, '[') == 0)
        ;
    assert_int_equal(td_json_check(td_buf_slice(&deep), &value, NULL), TD_EJSON);
    td_buf_done(&deep);
}

static struct td_slice checked(struct td_slice text)
{
    struct td_slice value;

    assert_int_equal(td_json_check(text, &value, NULL), 0);
    return value;
}

static void test_walk(void **state)
{
    struct td_slice value = checked(TD_S(" { \"a\" : [ 1 , \"x]\\\"\" , { } , [ ] , -2.5e3 ] "
                                         ",\"b\":null, \"a\":true,\"\\u0063\":{\"d\":\"}\"}} ")),
                    name, member;
    assert_int_equal(value.ptr[value.len - 1], '}');
    static const char *const want[][2] = {
        {"\"a\"",       "[ 1 , \"x]\\\"\" , { } , [ ] , -2.5e3 ]"},
        {"\"b\"",       "null"                                   },
        {"\"a\"",       "true"                                   },
        {"\"\\u0063\"", "{\"d\":\"}\"}"                          },
    };
    static const char *const items[] = {"1", "\"x]\\\"\"", "{ }", "[ ]", "-2.5e3"};
    struct td_json_iter it = td_json_iter(value);
    for (size_t i = 0; i < TD_ARRAY_LEN(want); i++) {
        assert_true(td_json_next(&it, &name, &member));
        assert_true(td_slice_eq(name, td_slice_str(want[i][0])));
        assert_true(td_slice_eq(member, td_slice_str(want[i][1])));
    }
    assert_false(td_json_next(&it, &name, &member));
    assert_false(td_json_next(&it, &name, &member));
    assert_true(td_json_get(value, "a", &member)); /* the first */
    it = td_json_iter(member);
    for (size_t i = 0; i < TD_ARRAY_LEN(items); i++) {
        assert_true(td_json_next(&it, &name, &member));
        assert_int_equal(name.len, 0);
        assert_true(td_slice_eq(member, td_slice_str(items[i])));
    }
    assert_false(td_json_next(&it, &name, &member));
    assert_true(td_json_get(value, "c", &member));
    assert_true(td_json_get(member, "d", &member));
    assert_true(td_slice_eq(member, TD_S("\"}\"")));
    assert_false(td_json_get(value, "d", &member));
    assert_false(td_json_get(value, "", &member));
    static const char *const no_members[] = {"[]", "{}", "1", "\"ab\"", "null"};
    for (size_t i = 0; i < TD_ARRAY_LEN(no_members); i++) {
        it = td_json_iter(checked(td_slice_str(no_members[i])));
        assert_false(td_json_next(&it, &name, &member));
    }
    assert_false(td_json_get(checked(TD_S("[\"a\",1]")), "a", &member));
}

static void test_strings(void **state)
{
    struct td_buf buf = TD_BUF_INIT(64);
    struct td_slice plain;

    assert_true(td_json_string_is(TD_S("\"topic\""), "topic"));
    assert_true(td_json_string_is(TD_S("\"t\\u006fp\\u0069c\""), "topic"));
    assert_true(td_json_string_is(TD_S("\"\""), ""));
    assert_false(td_json_string_is(TD_S("\"topic\""), "topi"));
    assert_false(td_json_string_is(TD_S("\"topi\""), "topic"));
    assert_false(td_json_string_is(TD_S("\"a\\u0000b\""), "a"));
    assert_false(td_json_string_is(TD_S("1"), "1"));
    assert_int_equal(td_json_unescape(TD_S("\"a\\n\\ud83d\\ude00\\u00e9\\u20ac/\""), &buf), 0);
    assert_true(td_slice_eq(td_buf_slice(&buf), TD_S("a\n\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xac/")));
    assert_true(td_json_plain(TD_S("\"ab\""), &plain));
    assert_true(td_slice_eq(plain, TD_S("ab")));
    assert_false(td_json_plain(TD_S("\"a\\n\""), &plain));
    assert_false(td_json_plain(TD_S("12"), &plain));
    td_buf_done(&buf);

    /* A buffer that is too small gets nothing of it. */
    buf = TD_BUF_INIT(5);
    td_buf_puts(&buf, "ab");
    assert_int_equal(td_json_unescape(TD_S("\"c\\nde\""), &buf), TD_ETOOLARGE);
    assert_true(td_slice_eq(td_buf_slice(&buf), TD_S("ab")));
    td_buf_done(&buf);
}

static void test_put_string(void **state)
{
    static const struct {
        struct td_slice text;
        const char *want;
    } cases[] = {
        {{"", 0},                         "\"\""                                    },
        {{"a/b", 3},                      "\"a/b\""                                 },
        {{"\"\\\b\f\n\r\t", 7},           "\"\\\"\\\\\\b\\f\\n\\r\\t\""             },
        {{"\0\x1f\x7f", 3},               "\"\\u0000\\u001f\x7f\""                  },
        {{"\xc3\xa9\xf0\x9f\x98\x80", 6}, "\"\xc3\xa9\xf0\x9f\x98\x80\""            },
        {{"a\xff", 2},                    "\"a\xef\xbf\xbd\""                       },
        {{"\xe2\x82", 2},                 "\"\xef\xbf\xbd\xef\xbf\xbd\""            },
        {{"\xed\xa0\x80", 3},             "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        size_t len = strlen(cases[i].want);
        for (size_t max = 0; max <= len; max++) {
            struct td_buf buf = TD_BUF_INIT(max);
            int r = td_json_put_string(&buf, cases[i].text);
            assert_int_equal(r, max < len ? TD_ETOOLARGE : 0);
            assert_int_equal(buf.err, r);
            assert_true(
                td_slice_eq(td_buf_slice(&buf), td_slice_str(max < len ? "" : cases[i].want)));
            td_buf_done(&buf);
        }
    }
}

static void test_u64(void **state)
{
    uint64_t value = 5;

    assert_int_equal(td_json_u64(TD_S("9223372036854775807"), &value), 0);
    assert_int_equal(value, INT64_MAX);
    assert_int_equal(td_json_u64(TD_S("0"), &value), 0);
    assert_int_equal(value, 0);
    static const char *const refused[] = {
        "9223372036854775808", "-0", "-1", "1.0", "1e2", "\"1\"", "null", ""};
    for (size_t i = 0; i < TD_ARRAY_LEN(refused); i++)
        assert_int_equal(td_json_u64(td_slice_str(refused[i]), &value), TD_EJSON);
    assert_int_equal(value, 0);
}

/* Random bytes become a string that reads as itself, but for what was not UTF-8. */
static void test_random_strings(void **state)
{
    struct td_rng rng;
    char text[40];

    td_rng_init(&rng, 11);
    for (int round = 0; round < 20000; round++) {
        size_t len = td_rng_below(&rng, sizeof(text));
        for (size_t i = 0; i < len; i++)
            text[i] =
                td_rng_one_in(&rng, 3) ? (char)td_rng_next(&rng) : (char)td_rng_below(&rng, 128);
        struct td_buf buf = TD_BUF_INIT(1024);
        assert_int_equal(td_json_put_string(&buf, td_slice(text, len)), 0);
        checked(td_buf_slice(&buf));
        assert_true(json_peer_agrees(td_buf_slice(&buf)));
        td_buf_done(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_near_vectors),
        cmocka_unit_test(test_depth),   cmocka_unit_test(test_walk),
        cmocka_unit_test(test_strings), cmocka_unit_test(test_put_string),
        cmocka_unit_test(test_u64),     cmocka_unit_test(test_random_strings),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
