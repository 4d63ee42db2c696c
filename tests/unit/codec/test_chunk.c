/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/json.h"
#include "codec/chunk.h"

static struct td_chunk chunk(const char *data)
{
    struct td_chunk chunk;
    struct td_slice value;

    assert_int_equal(td_json_check(td_slice_str(data), &value, NULL), 0);
    assert_int_equal(td_chunk_parse(value, &chunk), 0);
    return chunk;
}

static void check(const char *data, uint64_t at, uint64_t end)
{
    struct td_chunk got = chunk(data);

    assert_int_equal(got.at, at);
    assert_int_equal(got.end, end);
}

/* The length is that of the text, however it is written. */
static void counts_bytes(void **state)
{
    (void)state;
    check("{\"content\":\"\",\"offset\":0}", 0, 0);
    check("{\"content\":\"abc\",\"offset\":5}", 5, 8);
    check("{ \"offset\" : 5 , \"x\":{\"content\":1,\"offset\":2}, \"content\" : \"abc\" }", 5, 8);
    check("{\"content\":\"\\n\\\\\\\"\\u0041\",\"offset\":1}", 1, 5);
    check("{\"content\":\"\xc3\xa9\\u00e9\",\"offset\":0}", 0, 4);
    check("{\"content\":\"\\ud83d\\udca1\xf0\x9f\x92\xa1\",\"offset\":0}", 0, 8);
    check("{\"content\":\"\\u20ac\",\"offset\":9007199254740989}", 9007199254740989,
          9007199254740992);
    check("{\"c\\u006fntent\":\"ab\",\"offset\":0}", 0, 2);
}

static void refuses(void **state)
{
    static const char *const cases[] = {
        "null",
        "[]",
        "{}",
        "{\"content\":\"a\"}",
        "{\"offset\":0}",
        "{\"content\":null,\"offset\":0}",
        "{\"content\":\"a\",\"offset\":\"0\"}",
        "{\"content\":\"a\",\"offset\":-1}",
        "{\"content\":\"a\",\"offset\":1e1}",
        "{\"content\":\"a\",\"offset\":9007199254740992}",
        "{\"content\":\"a\",\"offset\":18446744073709551615}",
        "{\"content\":\"a\",\"content\":\"b\",\"offset\":0}",
        "{\"content\":\"a\",\"offset\":0,\"\\u006fffset\":1}",
    };
    struct td_chunk chunk;

    (void)state;
    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++)
        assert_int_equal(td_chunk_parse(td_slice_str(cases[i]), &chunk), TD_EINVAL);
}

static void joins(void **state)
{
    static const char *const data[] = {
        "{\"content\":\"a\\u00e9\",\"offset\":0,\"first\":1}",
        "{\"content\":\"\\\"\",\"offset\":3}",
        "{\"n\":[1], \"offset\" : 4, \"content\" : \"z\" , \"last\":true}",
        "{\"content\":\"z\", \"offset\" : 4}",
    };
    struct td_chunk chunks[4];
    struct td_buf out = TD_BUF_INIT(1024);

    (void)state;
    for (size_t i = 0; i < 4; i++)
        chunks[i] = chunk(data[i]);
    assert_true(td_chunk_joins(&chunks[0], &chunks[1]));
    assert_true(td_chunk_joins(&chunks[1], &chunks[2]));
    assert_false(td_chunk_joins(&chunks[0], &chunks[2]));
    assert_int_equal(td_chunk_put_joined(&out, chunks, 3, td_slice_str(data[2])), 0);
    assert_true(td_slice_eq(
        td_buf_slice(&out),
        TD_S("{\"n\":[1], \"offset\" : 0, \"content\" : \"a\\u00e9\\\"z\" , \"last\":true}")));
    td_buf_reset(&out);
    chunks[2] = chunks[3];
    assert_int_equal(td_chunk_put_joined(&out, chunks + 1, 2, td_slice_str(data[3])), 0);
    assert_true(td_slice_eq(td_buf_slice(&out), TD_S("{\"content\":\"\\\"z\", \"offset\" : 3}")));
    td_buf_done(&out);
}

/* An empty text is followed by its continuation or by a new one; only the former joins. */
static void a_new_text_does_not_join(void **state)
{
    struct td_chunk empty = chunk("{\"content\":\"\",\"offset\":0}");
    struct td_chunk other = chunk("{\"content\":\"x\",\"offset\":0}");
    struct td_chunk five = chunk("{\"content\":\"\",\"offset\":5}");

    (void)state;
    assert_false(td_chunk_joins(&empty, &other));
    assert_true(td_chunk_joins(&five, &five));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_bytes),
        cmocka_unit_test(refuses),
        cmocka_unit_test(joins),
        cmocka_unit_test(a_new_text_does_not_join),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
