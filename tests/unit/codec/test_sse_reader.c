/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka wants these in front of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/units.h"
#include "codec/sse_reader.h"
#include <cmocka.h>

/* Reads `in` to its end and writes each message as "event|data|id\n". */
static int read_all(struct td_sse_reader *reader, struct td_slice in, struct td_buf *out)
{
    struct td_sse_message message;
    int r;

    while ((r = td_sse_reader_next(reader, &in, &message)) > 0) {
        td_buf_put(out, message.event);
        td_buf_putc(out, '|');
        td_buf_put(out, message.data);
        td_buf_putc(out, '|');
        td_buf_put(out, message.id);
        td_buf_putc(out, '\n');
    }
    assert_true(r < 0 || in.len == 0);
    return r;
}

static void check_cut(struct td_slice stream, size_t cut, struct td_slice expected,
                      struct td_slice last_id)
{
    struct td_sse_reader reader;
    struct td_buf out = TD_BUF_INIT(TD_MIB);

    td_sse_reader_init(&reader);
    if (cut == 0) { /* every byte by itself */
        for (size_t i = 0; i < stream.len; i++)
            assert_int_equal(read_all(&reader, td_slice(stream.ptr + i, 1), &out), 0);
    } else {
        assert_int_equal(read_all(&reader, td_slice_to(stream, cut), &out), 0);
        assert_int_equal(read_all(&reader, td_slice_from(stream, cut), &out), 0);
    }
    assert_true(td_slice_eq(td_buf_slice(&out), expected));
    assert_true(td_slice_eq(td_sse_reader_last_id(&reader), last_id));
    td_sse_reader_done(&reader);
    td_buf_done(&out);
}

/* Gives the same messages wherever the stream is cut. */
static void check(struct td_slice stream, struct td_slice expected, struct td_slice last_id)
{
    for (size_t cut = 0; cut <= stream.len; cut++)
        check_cut(stream, cut, expected, last_id);
}

static void test_fields(void **state)
{
    (void)state;
    check(TD_S("id: e.1\nevent: started\ndata: {}\n\n"), TD_S("started|{}|e.1\n"), TD_S("e.1"));
    check(TD_S("data:no space\n\ndata:  two\n\n"), TD_S("message|no space|\nmessage| two|\n"),
          TD_S(""));
    check(TD_S("data: a\ndata: b\n\n"), TD_S("message|a\nb|\n"), TD_S(""));
    check(TD_S("data\n\n"), TD_S("message||\n"), TD_S(""));
    check(TD_S("data: a:b\n\n"), TD_S("message|a:b|\n"), TD_S(""));
    check(TD_S("Data: x\nda ta: y\n:data: z\nunknown: q\n\n"), TD_S(""), TD_S(""));
}

static void test_line_ends(void **state)
{
    (void)state;
    check(TD_S("data: a\r\n\r\ndata: b\r\rdata: c\n\n"),
          TD_S("message|a|\nmessage|b|\nmessage|c|\n"), TD_S(""));
    check(TD_S("data: a\r\n\n"), TD_S("message|a|\n"), TD_S(""));
    check(TD_S("\n\r\n\rdata: a\n\n"), TD_S("message|a|\n"), TD_S(""));
}

static void test_byte_order_mark(void **state)
{
    (void)state;
    check(TD_S("\xEF\xBB\xBF"
               "data: a\n\n"),
          TD_S("message|a|\n"), TD_S(""));
    check(TD_S("\xEF\xBB"
               "data: a\n\ndata: b\n\n"),
          TD_S("message|b|\n"), TD_S(""));
    check(TD_S("data: a\n\n\xEF\xBB\xBF"
               "data: b\n\n"),
          TD_S("message|a|\n"), TD_S(""));
}

static void test_id_lives_on_and_moves_alone(void **state)
{
    (void)state;
    check(TD_S("id: e.1\ndata: a\n\ndata: b\n\n"), TD_S("message|a|e.1\nmessage|b|e.1\n"),
          TD_S("e.1"));
    check(TD_S("id: e.7\n\n"), TD_S(""), TD_S("e.7"));
    check(TD_S("id: e.7\n\ndata: a\n\n"), TD_S("message|a|e.7\n"), TD_S("e.7"));
    check(TD_S("id: e.7\n\nid\n\n"), TD_S(""), TD_S(""));
    check(TD_S("id: e.7\n\nid: with\0nul\n\n"), TD_S(""), TD_S("e.7"));
}

static void test_unfinished_block_does_not_count(void **state)
{
    (void)state;
    check(TD_S("id: e.1\ndata: a\n\nid: e.2\ndata: b\n"), TD_S("message|a|e.1\n"), TD_S("e.1"));
    check(TD_S("id: e.1\n\nevent: x\n\ndata: a\n\n"), TD_S("message|a|e.1\n"), TD_S("e.1"));
}

static void test_restart_forgets_the_half_block(void **state)
{
    struct td_sse_reader reader;
    struct td_buf out = TD_BUF_INIT(TD_MIB);

    (void)state;
    td_sse_reader_init(&reader);
    assert_int_equal(read_all(&reader, TD_S("id: e.1\n\nid: e.2\nevent: x\ndata: lost\nda"), &out),
                     0);
    td_sse_reader_restart(&reader);
    assert_true(td_slice_eq(td_sse_reader_last_id(&reader), TD_S("e.1")));
    assert_int_equal(read_all(&reader, TD_S("\xEF\xBB\xBF"), &out), 0);
    assert_int_equal(read_all(&reader, TD_S("data: kept\n\n"), &out), 0);
    assert_true(td_slice_eq(td_buf_slice(&out), TD_S("message|kept|e.1\n")));
    td_sse_reader_done(&reader);
    td_buf_done(&out);
}

static void test_retry(void **state)
{
    struct td_sse_reader reader;
    struct td_buf out = TD_BUF_INIT(TD_MIB);

    (void)state;
    td_sse_reader_init(&reader);
    assert_int_equal(read_all(&reader, TD_S("retry: 1500\nretry: 2s\nretry:\n\n"), &out), 0);
    assert_int_equal(reader.retry_ms, 1500);
    td_sse_reader_done(&reader);
    td_buf_done(&out);
}

/* Feeds `n` bytes 'x' behind what was fed. */
static int feed(struct td_sse_reader *reader, size_t n)
{
    static const char xs[4096] = {[0 ... 4095] = 'x'};
    struct td_buf out = TD_BUF_INIT(4 * TD_MIB);
    int r = 0;

    for (size_t left = n; left > 0 && r == 0; left -= TD_MIN(left, sizeof(xs)))
        r = read_all(reader, td_slice(xs, TD_MIN(left, sizeof(xs))), &out);
    td_buf_done(&out);
    return r;
}

static void test_everything_is_bounded(void **state)
{
    struct td_sse_reader reader;
    struct td_buf out = TD_BUF_INIT(4 * TD_MIB);

    (void)state;
    td_sse_reader_init(&reader);
    assert_int_equal(feed(&reader, TD_SSE_LINE_MAX), 0);
    assert_int_equal(feed(&reader, 1), TD_ETOOLARGE);
    assert_int_equal(read_all(&reader, TD_S("\n\n"), &out), TD_ETOOLARGE); /* stays failed */

    td_sse_reader_restart(&reader);
    for (int i = 0; i < 2; i++) { /* lines that fit make a message that does not */
        assert_int_equal(read_all(&reader, TD_S("data: "), &out), 0);
        assert_int_equal(feed(&reader, TD_SSE_LINE_MAX / 2), 0);
        assert_int_equal(read_all(&reader, TD_S("\n"), &out), i == 0 ? 0 : TD_ETOOLARGE);
    }

    td_sse_reader_restart(&reader);
    assert_int_equal(read_all(&reader, TD_S("id:"), &out), 0);
    assert_int_equal(feed(&reader, TD_SSE_ID_MAX + 1), 0);
    assert_int_equal(read_all(&reader, TD_S("\n"), &out), TD_ETOOLARGE);
    td_sse_reader_done(&reader);
    td_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_byte_order_mark),
        cmocka_unit_test(test_id_lives_on_and_moves_alone),
        cmocka_unit_test(test_unfinished_block_does_not_count),
        cmocka_unit_test(test_restart_forgets_the_half_block),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_everything_is_bounded),
    };
    return cmocka_run_group_tests_name("sse_reader", tests, NULL, NULL);
}
