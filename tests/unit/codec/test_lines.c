/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka wants these in front of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/units.h"
#include "codec/lines.h"
#include <cmocka.h>

#define PIECE (16 * TD_KIB)

/* Feeds `text` in chunks of `chunk` bytes and writes what comes out as "[line]", a partial one as "[line+". */
static void split(struct td_slice text, size_t chunk, struct td_buf *out)
{
    struct td_lines lines;
    struct td_line line;

    td_lines_init(&lines, PIECE);
    while (text.len > 0) {
        struct td_slice in = td_slice_to(text, TD_MIN(chunk, text.len));
        text = td_slice_from(text, in.len);
        while (td_lines_next(&lines, &in, &line)) {
            td_buf_putc(out, '[');
            td_buf_put(out, line.text);
            td_buf_putc(out, line.partial ? '+' : ']');
        }
        assert_int_equal(in.len, 0);
    }
    while (td_lines_end(&lines, &line)) {
        td_buf_putc(out, '[');
        td_buf_put(out, line.text);
        td_buf_putc(out, ']');
    }
    td_lines_done(&lines);
}

static void check_chunk(struct td_slice text, size_t chunk, struct td_slice expected)
{
    struct td_buf out = TD_BUF_INIT(TD_MIB);

    split(text, chunk, &out);
    assert_int_equal(out.err, 0);
    assert_int_equal(out.len, expected.len);
    assert_memory_equal(out.ptr, expected.ptr, expected.len);
    td_buf_done(&out);
}

static void check(struct td_slice text, struct td_slice expected)
{
    for (size_t chunk = 1; chunk <= text.len; chunk++)
        check_chunk(text, chunk, expected);
}

static void test_lines_end_at_lf(void **state)
{
    (void)state;
    check(TD_S("one\ntwo\n"), TD_S("[one][two]"));
    check(TD_S("\n\nx\n"), TD_S("[][][x]"));
    check(TD_S("a\r\nb\rc\n"), TD_S("[a\r][b\rc]"));
    check(TD_S("nul\0byte\n"), TD_S("[nul\0byte]"));
}

static void test_last_line_needs_no_lf(void **state)
{
    (void)state;
    check(TD_S("one\nrest"), TD_S("[one][rest]"));
    check(TD_S("rest"), TD_S("[rest]"));
}

/* A line of `n` times 'x' with `tail` behind it, and what comes of it. */
static void check_long(size_t n, const char *tail, size_t first_piece)
{
    struct td_buf text = TD_BUF_INIT(TD_MIB), expected = TD_BUF_INIT(TD_MIB);
    static const size_t chunks[] = {1, 7, 4096, PIECE, PIECE + 1, TD_MIB};

    for (size_t i = 0; i < n; i++)
        td_buf_putc(&text, 'x');
    td_buf_puts(&text, tail);
    td_buf_putc(&expected, '[');
    td_buf_put(&expected, td_slice(text.ptr, first_piece));
    if (first_piece < text.len) {
        td_buf_puts(&expected, "+[");
        td_buf_put(&expected, td_slice_from(td_buf_slice(&text), first_piece));
    }
    td_buf_putc(&expected, ']');
    td_buf_putc(&text, '\n');
    for (size_t i = 0; i < TD_ARRAY_LEN(chunks); i++)
        check_chunk(td_buf_slice(&text), chunks[i], td_buf_slice(&expected));
    td_buf_done(&text);
    td_buf_done(&expected);
}

static void test_long_line_comes_in_pieces(void **state)
{
    (void)state;
    check_long(PIECE - 1, "", PIECE - 1);
    check_long(PIECE, "", PIECE); /* exactly full is not partial */
    check_long(PIECE, "y", PIECE);
    check_long(2 * PIECE, "", PIECE);
}

static void test_no_piece_tears_a_character(void **state)
{
    (void)state;
    check_long(PIECE - 1, "\xC3\xA9", PIECE - 1);
    check_long(PIECE - 2, "\xC3\xA9z", PIECE);
    check_long(PIECE - 2, "\xE2\x82\xAC", PIECE - 2);
    check_long(PIECE - 3, "\xF0\x9F\x98\x80", PIECE - 3);
    check_long(PIECE - 4, "\xF0\x9F\x98\x80z", PIECE);
    /* What is no UTF-8 is cut where it is full. */
    check_long(PIECE - 4, "\x80\x80\x80\x80\x80", PIECE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_end_at_lf),
        cmocka_unit_test(test_last_line_needs_no_lf),
        cmocka_unit_test(test_long_line_comes_in_pieces),
        cmocka_unit_test(test_no_piece_tears_a_character),
    };
    return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
