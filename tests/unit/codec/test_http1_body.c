/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies: each vector whole, byte by byte, and cut in two at every offset, with equal results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "codec/http1.h"

struct vector {
    const char *name, *text;
    const char *content; /* that is given before the end or the fault */
    int expect;          /* the length of the body; 0: more is needed; or the error */
};

/* clang-format off */
static const struct vector chunked[] = {
    {"empty", "0\r\n\r\n", "", 5},
    {"one", "5\r\nhello\r\n0\r\n\r\n", "hello", 15},
    {"two", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!", 21},
    {"what follows stays", "1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "a", 11},
    {"hexadecimal", "a\r\n0123456789\r\nA\r\n0123456789\r\n00\r\n\r\n", "01234567890123456789", 36},
    {"leading zeros", "0000000000000001\r\nx\r\n0\r\n\r\n", "x", 26},
    {"line ends in content", "6\r\n\r\n0\r\n\r\r\n0\r\n\r\n", "\r\n0\r\n\r", 16},
    {"extensions", "1;a;b=c;d=\"e\\\";\"\r\nx\r\n0;last\r\n\r\n", "x", 31},
    {"trailers", "1\r\nx\r\n0\r\nA: b\r\nContent-Length: 9\r\n\r\n", "x", 36},
    {"unfinished", "5\r\nhel", "hel", 0},
    {"unfinished size", "5", "", 0},
    {"unfinished end", "0\r\n\r", "", 0},
    {"no size", "\r\nx", "", TD_EINVAL},
    {"no digit", "g\r\n", "", TD_EINVAL},
    {"negative", "-1\r\n", "", TD_EINVAL},
    {"prefix 0x", "0x1\r\nx\r\n0\r\n\r\n", "", TD_EINVAL},
    {"blank before the size", " 1\r\nx\r\n", "", TD_EINVAL},
    {"blank after the size", "1 \r\nx\r\n", "", TD_EINVAL},
    {"size overflows", "10000000000000001\r\nx", "", TD_EINVAL},
    {"size near 2^64", "fffffffffffffff0\r\nx", "", TD_EINVAL},
    {"too many zeros", "00000000000000001\r\nx\r\n0\r\n\r\n", "", TD_EINVAL},
    {"size ends in LF", "1\nx\r\n0\r\n\r\n", "", TD_EINVAL},
    {"size ends in CR", "1\rx\r\n0\r\n\r\n", "", TD_EINVAL},
    {"size ends in CR CR LF", "1\r\r\nx\r\n", "", TD_EINVAL},
    {"content ends in LF", "1\r\nx\n0\r\n\r\n", "x", TD_EINVAL},
    {"content is longer than its size", "1\r\nxy\r\n0\r\n\r\n", "x", TD_EINVAL},
    {"content ends in CR", "1\r\nx\r0\r\n\r\n", "x", TD_EINVAL},
    {"extension without a name", "1;\r\nx", "", TD_EINVAL},
    {"extension without a value", "1;a=\r\nx", "", TD_EINVAL},
    {"LF in an extension", "1;a\nx\r\n0\r\n\r\n", "", TD_EINVAL},
    {"line end in a quoted extension", "1;a=\"\r\nx\r\n\"\r\n", "", TD_EINVAL},
    {"escaped line end", "1;a=\"\\\r\nx\"\r\n", "", TD_EINVAL},
    {"text after a quoted extension", "1;a=\"b\"c\r\nx", "", TD_EINVAL},
    {"blank in an extension", "1; a\r\nx", "", TD_EINVAL},
    {"trailer without a colon", "0\r\nGET / HTTP/1.1\r\n\r\n", "", TD_EINVAL},
    {"folded trailer", "0\r\nA: b\r\n c\r\n\r\n", "", TD_EINVAL},
    {"trailer ends in LF", "0\r\nA: b\n\r\n", "", TD_EINVAL},
    {"control in a trailer", "0\r\nA: \x01\r\n\r\n", "", TD_EINVAL},
    {"end in LF", "0\r\n\n", "", TD_EINVAL},
    {"end in CR", "0\r\n\rX", "", TD_EINVAL},
};
/* clang-format on */

struct run {
    struct td_http_body body;
    struct td_buf content;
    size_t taken;
    int err;
};

static struct run run_begin(uint64_t content_length, bool is_chunked)
{
    struct td_http_request request = {.content_length = content_length, .chunked = is_chunked};
    struct run run = {.content = TD_BUF_INIT(1 << 20)};

    td_http_body_init(&run.body, &request);
    return run;
}

/* Feeds a copy that ends where its memory does. */
static void feed(struct run *run, const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    int r = 0;

    assert_non_null(copy);
    memcpy(copy, text, len);
    struct td_slice in = td_slice(copy, len), piece;
    while ((r = td_http_body_next(&run->body, &in, &piece)) > 0) {
        assert_true(piece.len > 0);
        assert_int_equal(td_buf_put(&run->content, piece), 0);
    }
    assert_true(r < 0 || run->body.done || in.len == 0);
    assert_int_equal(run->body.total, run->content.len);
    run->taken += len - in.len;
    if (run->err == 0)
        run->err = r;
    free(copy);
}

static void check_run(const struct vector *v, struct run *run, const char *how, size_t cut)
{
    int r = run->err < 0 ? run->err : run->body.done ? (int)run->taken : 0;

    if (r != v->expect)
        fail_msg("%s, %s %zu: %d instead of %d", v->name, how, cut, r, v->expect);
    if (!td_slice_eq(td_buf_slice(&run->content), td_slice_str(v->content)))
        fail_msg("%s, %s %zu: other content", v->name, how, cut);
    if (run->err < 0) { /* and stays broken */
        struct td_slice in = TD_S("0\r\n\r\n"), piece;
        assert_int_equal(td_http_body_next(&run->body, &in, &piece), TD_EINVAL);
        assert_false(run->body.done);
    }
    td_buf_done(&run->content);
}

static void replay_chunked(void **state)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(chunked); i++) {
        const struct vector *v = &chunked[i];
        size_t len = strlen(v->text);
        for (size_t cut = 0; cut <= len; cut++) {
            struct run run = run_begin(0, true);
            feed(&run, v->text, cut);
            feed(&run, v->text + cut, len - cut);
            check_run(v, &run, "cut at", cut);
        }
        struct run run = run_begin(0, true);
        for (size_t at = 0; at < len; at++)
            feed(&run, v->text + at, 1);
        check_run(v, &run, "byte by byte", 0);
    }
}

static void take_a_length(void **state)
{
    const struct vector v = {"length", "helloGET /", "hello", 5};

    for (size_t cut = 0; cut <= strlen(v.text); cut++) {
        struct run run = run_begin(5, false);
        feed(&run, v.text, cut);
        assert_int_equal(run.body.done, cut >= 5);
        feed(&run, v.text + cut, strlen(v.text) - cut);
        check_run(&v, &run, "cut at", cut);
    }
}

static void take_no_body(void **state)
{
    struct run run = run_begin(0, false);

    assert_true(run.body.done);
    feed(&run, "GET /", 5);
    assert_int_equal(run.taken, 0);
    assert_int_equal(run.content.len, 0);
}

/* A chunk's line of `len` bytes with its line end: accepted up to the limit. */
static int chunk_line(size_t len)
{
    char text[2 * TD_HTTP_CHUNK_LINE_MAX] = "1;";
    struct run run = run_begin(0, true);

    memset(text + 2, 'x', len - 4);
    memcpy(text + len - 2, "\r\n", 2);
    feed(&run, text, len);
    return run.err;
}

static void bound_the_framing(void **state)
{
    static char trailers[TD_HTTP_TRAILERS_MAX + 16] = "0\r\nA:";
    struct run run = run_begin(0, true);

    assert_int_equal(chunk_line(TD_HTTP_CHUNK_LINE_MAX), 0);
    assert_int_equal(chunk_line(TD_HTTP_CHUNK_LINE_MAX + 1), TD_EINVAL);

    memset(trailers + 5, 'x', sizeof(trailers) - 5);
    memcpy(trailers + 3 + TD_HTTP_TRAILERS_MAX - 4, "\r\n\r\n", 4);
    feed(&run, trailers, 3 + TD_HTTP_TRAILERS_MAX);
    assert_true(run.body.done);
    run = run_begin(0, true);
    memset(trailers + 5, 'x', sizeof(trailers) - 5);
    feed(&run, trailers, 3 + TD_HTTP_TRAILERS_MAX);
    assert_int_equal(run.err, 0);
    feed(&run, "x", 1);
    assert_int_equal(run.err, TD_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay_chunked),
        cmocka_unit_test(take_a_length),
        cmocka_unit_test(take_no_body),
        cmocka_unit_test(bound_the_framing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
