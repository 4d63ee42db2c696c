/* SPDX-License-Identifier: Apache-2.0 */
/* What is written is read back by a reader of its own: one event, with nothing in it that a field has forged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "codec/sse.h"
#include "sse_reader.h"

static const struct td_slice hostile[] = {
    {"a\rb",                            3 },
    {"a\nb",                            3 },
    {"a\r\nb",                          4 },
    {"a\n\rb",                          4 },
    {"\r",                              1 },
    {"\n",                              1 },
    {"\r\n",                            2 },
    {"\n\n",                            2 },
    {"\r\r",                            2 },
    {"a\0b",                            3 },
    {"\0",                              1 },
    {"a\xe2\x80\xa8id: 9",              9 }, /* U+2028 */
    {"a\xe2\x80\xa9"
     "data: 9",                    11}, /* U+2029 */
    {"a\xc2\x85id: 9",                  8 }, /* U+0085 */
    {"x\nid: 9",                        7 },
    {"x\n\nevent: forged\ndata: y\n\n", 26},
    {"x\r\rdata: y\r\r",                12},
    {"x\r\ndata: y\r\n\r\n",            14},
    {": c",                             3 },
    {" two blanks",                     11},
    {"\xef\xbb\xbf",                    3 },
    {"",                                0 },
};

/* `data` as a reader has it: each line end is LF. */
static void normalise(struct td_slice data, struct td_buf *out)
{
    for (size_t i = 0; i < data.len; i++) {
        if (data.ptr[i] == '\n' && i > 0 && data.ptr[i - 1] == '\r')
            continue;
        td_buf_putc(out, data.ptr[i] == '\r' ? '\n' : data.ptr[i]);
    }
}

static bool has_any(struct td_slice text, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text.len > 0 && memchr(text.ptr, bytes[i], text.len))
            return true;
    return false;
}

static void assert_eq(struct td_slice got, struct td_slice want)
{
    assert_int_equal(got.len, want.len);
    assert_true(td_slice_eq(got, want));
}

/* Writes one event and reads it back: it is alone, and as it was. */
static void check_event(const struct td_sse_event *event)
{
    struct td_buf out = TD_BUF_INIT(4096), want = TD_BUF_INIT(4096);
    struct td_slice data;
    bool legal = !has_any(event->id, "\r\n\0", 3) && !has_any(event->event, "\r\n\0", 3);

    td_buf_puts(&out, "id: before\n\n");
    size_t start = out.len;
    int r = td_sse_put(&out, event);
    assert_int_equal(r, legal ? 0 : TD_EINVAL);
    if (!legal) {
        assert_int_equal(out.len, start);
    } else {
        struct sse_reader reader = sse_reader(td_buf_slice(&out));
        assert_true(sse_next(&reader, &data));
        normalise(event->data, &want);
        assert_eq(data, td_buf_slice(&want));
        assert_eq(td_buf_slice(&reader.type), event->event);
        assert_eq(reader.last_id, event->id.ptr ? event->id : TD_S("before"));
        assert_false(sse_next(&reader, &data));
        assert_false(reader.has_retry);
        sse_reader_done(&reader);
    }
    td_buf_done(&out);
    td_buf_done(&want);
}

static void no_field_forges_another(void **state)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(hostile); i++) {
        check_event(
            &(struct td_sse_event){.id = hostile[i], .event = TD_S("t"), .data = TD_S("d")});
        check_event(
            &(struct td_sse_event){.id = TD_S("1"), .event = hostile[i], .data = TD_S("d")});
        check_event(
            &(struct td_sse_event){.id = TD_S("1"), .event = TD_S("t"), .data = hostile[i]});
        check_event(&(struct td_sse_event){.data = hostile[i]});
    }
}

static void write_exactly(void **state)
{
    struct td_buf out = TD_BUF_INIT(4096);

    assert_int_equal(td_sse_put_retry(&out, 1500), 0);
    assert_int_equal(td_sse_put(&out, &(struct td_sse_event){.id = TD_S("9f3c21aa.7"),
                                                             .event = TD_S("output"),
                                                             .data = TD_S("{\"a\":\n1}")}),
                     0);
    assert_int_equal(td_sse_put_comment(&out, TD_S("still here")), 0);
    assert_int_equal(td_sse_put_id(&out, TD_S("9f3c21aa.8")), 0);
    assert_eq(td_buf_slice(&out), TD_S("retry: 1500\n"
                                       "id: 9f3c21aa.7\nevent: output\ndata: {\"a\":\ndata: 1}\n\n"
                                       ": still here\n"
                                       "id: 9f3c21aa.8\n\n"));
    td_buf_done(&out);
}

static void move_a_quiet_reader(void **state)
{
    struct td_buf out = TD_BUF_INIT(4096);
    struct td_slice data;

    assert_int_equal(td_sse_put_id(&out, TD_S("a.1")), 0);
    assert_int_equal(td_sse_put_id(&out, TD_S("a.2\n")), TD_EINVAL);
    assert_int_equal(td_sse_put_id(&out, td_slice("a\0", 2)), TD_EINVAL);
    struct sse_reader reader = sse_reader(td_buf_slice(&out));
    assert_false(sse_next(&reader, &data));
    assert_eq(reader.last_id, TD_S("a.1"));
    sse_reader_done(&reader);
    td_buf_done(&out);
}

static void comments_stay_comments(void **state)
{
    struct td_slice data;

    for (size_t i = 0; i < TD_ARRAY_LEN(hostile); i++) {
        struct td_buf out = TD_BUF_INIT(4096);
        assert_int_equal(td_sse_put_comment(&out, hostile[i]), 0);
        struct sse_reader reader = sse_reader(td_buf_slice(&out));
        assert_false(sse_next(&reader, &data));
        assert_int_equal(reader.fields, 0);
        assert_int_equal(reader.rest.len, 0);
        sse_reader_done(&reader);
        td_buf_done(&out);
    }
}

/* A full buffer keeps what was there and nothing of what did not fit. */
static void write_all_or_nothing(void **state)
{
    struct td_sse_event event = {.id = TD_S("1"), .event = TD_S("t"), .data = TD_S("a\nb")};
    size_t whole = strlen("id: 1\nevent: t\ndata: a\ndata: b\n\n");

    for (size_t room = 0; room <= whole; room++) {
        struct td_buf out = TD_BUF_INIT(4 + room);
        assert_int_equal(td_buf_puts(&out, ":ok\n"), 0);
        int r = td_sse_put(&out, &event);
        assert_int_equal(r, room < whole ? TD_ETOOLARGE : 0);
        assert_int_equal(out.len, room < whole ? 4 : 4 + whole);
        td_buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_field_forges_another), cmocka_unit_test(write_exactly),
        cmocka_unit_test(move_a_quiet_reader),     cmocka_unit_test(comments_stay_comments),
        cmocka_unit_test(write_all_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
