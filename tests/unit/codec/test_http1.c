/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that must be refused, for they can be read in two ways, and those that must not.  Each is parsed whole and
 * at every cut: the answer may not depend on how the bytes arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "codec/http1.h"

#define OK 1
#define H  "Host: a\r\n"

struct vector {
    const char *name;
    struct td_slice text;
    int expect; /* OK: the whole text is one head; 0: more is needed; else the error */
};

#define V(name, expect, text)                  \
    {                                          \
        name, {text, sizeof(text) - 1}, expect \
    }

/* clang-format off */
static const struct vector vectors[] = {
    /* The request line (RFC 9112 §2.2, §3). */
    V("plain", OK, "GET / HTTP/1.1\r\n" H "\r\n"),
    V("one empty line before", OK, "\r\nGET / HTTP/1.1\r\n" H "\r\n"),
    V("two empty lines before", TD_EINVAL, "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"),
    V("lone LF before", TD_EINVAL, "\nGET / HTTP/1.1\r\n" H "\r\n"),
    V("space before the method", TD_EINVAL, " GET / HTTP/1.1\r\n" H "\r\n"),
    V("two spaces", TD_EINVAL, "GET  / HTTP/1.1\r\n" H "\r\n"),
    V("two spaces before the version", TD_EINVAL, "GET /  HTTP/1.1\r\n" H "\r\n"),
    V("tab for a space", TD_EINVAL, "GET\t/ HTTP/1.1\r\n" H "\r\n"),
    V("space after the version", TD_EINVAL, "GET / HTTP/1.1 \r\n" H "\r\n"),
    V("line ends in LF", TD_EINVAL, "GET / HTTP/1.1\n" H "\r\n"),
    V("line ends in CR", TD_EINVAL, "GET / HTTP/1.1\r" H "\r\n"),
    V("line ends in CR CR LF", TD_EINVAL, "GET / HTTP/1.1\r\r\n" H "\r\n"),
    V("no method", TD_EINVAL, " / HTTP/1.1\r\n" H "\r\n"),
    V("method with a colon", TD_EINVAL, "G:T / HTTP/1.1\r\n" H "\r\n"),
    V("unknown method", OK, "BREW / HTTP/1.1\r\n" H "\r\n"),
    V("lower-case method is another", OK, "get / HTTP/1.1\r\n" H "\r\n"),
    V("long method", TD_ENOTIMPL, "AAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n" H "\r\n"),
    V("CONNECT", TD_EINVAL, "CONNECT a:443 HTTP/1.1\r\n" H "\r\n"),
    V("CONNECT to a path", TD_EINVAL, "CONNECT / HTTP/1.1\r\n" H "\r\n"),
    V("TLS client hello", TD_EINVAL, "\x16\x03\x01\x02\x00\x01"),
    V("version 0.9", TD_EINVAL, "GET /\r\n"),
    V("version 2.0", TD_EVERSION, "GET / HTTP/2.0\r\n" H "\r\n"),
    V("version 1.2", TD_EVERSION, "GET / HTTP/1.2\r\n" H "\r\n"),
    V("version 0.1", TD_EVERSION, "GET / HTTP/0.1\r\n" H "\r\n"),
    V("version without a minor", TD_EINVAL, "GET / HTTP/1\r\n" H "\r\n"),
    V("version 1.10", TD_EINVAL, "GET / HTTP/1.10\r\n" H "\r\n"),
    V("version in lower case", TD_EINVAL, "GET / http/1.1\r\n" H "\r\n"),
    V("preface of HTTP/2", TD_EVERSION, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    /* The target (§3.2). */
    V("empty target", TD_EINVAL, "GET  HTTP/1.1\r\n" H "\r\n"),
    V("target without a slash", TD_EINVAL, "GET a HTTP/1.1\r\n" H "\r\n"),
    V("asterisk for OPTIONS", OK, "OPTIONS * HTTP/1.1\r\n" H "\r\n"),
    V("asterisk for GET", TD_EINVAL, "GET * HTTP/1.1\r\n" H "\r\n"),
    V("fragment", TD_EINVAL, "GET /a#b HTTP/1.1\r\n" H "\r\n"),
    V("NUL in the target", TD_EINVAL, "GET /a\0b HTTP/1.1\r\n" H "\r\n"),
    V("control in the target", TD_EINVAL, "GET /a\x7f HTTP/1.1\r\n" H "\r\n"),
    V("raw UTF-8 in the target", TD_EINVAL, "GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n"),
    V("CR in the target", TD_EINVAL, "GET /a\rb HTTP/1.1\r\n" H "\r\n"),
    V("space in the target", TD_EINVAL, "GET /a b HTTP/1.1\r\n" H "\r\n"),
    V("what browsers leave raw", OK, "GET /{a}|^`\"<>\\?x=[]|'{} HTTP/1.1\r\n" H "\r\n"),
    V("absolute form", OK, "GET http://a/x?y HTTP/1.1\r\n" H "\r\n"),
    V("absolute form, upper case", OK, "GET HTTPS://A/x HTTP/1.1\r\n" H "\r\n"),
    V("absolute form without a path", OK, "GET http://a HTTP/1.1\r\n" H "\r\n"),
    V("absolute form of another host", TD_EINVAL, "GET http://b/x HTTP/1.1\r\n" H "\r\n"),
    V("absolute form of another port", TD_EINVAL, "GET http://a:80/x HTTP/1.1\r\n" H "\r\n"),
    V("absolute form with a user", TD_EINVAL, "GET http://u@a/x HTTP/1.1\r\n" H "\r\n"),
    V("absolute form, no host", TD_EINVAL, "GET http:///x HTTP/1.1\r\n" H "\r\n"),
    V("absolute form, query and no path", TD_EINVAL, "GET http://a?x HTTP/1.1\r\n" H "\r\n"),
    V("absolute form, other scheme", TD_EINVAL, "GET ftp://a/x HTTP/1.1\r\n" H "\r\n"),
    V("absolute form without Host", TD_EINVAL, "GET http://a/x HTTP/1.1\r\n\r\n"),
    /* Host (§3.2). */
    V("no Host", TD_EINVAL, "GET / HTTP/1.1\r\n\r\n"),
    V("no Host in 1.0", OK, "GET / HTTP/1.0\r\n\r\n"),
    V("two Hosts", TD_EINVAL, "GET / HTTP/1.1\r\n" H "Host: b\r\n\r\n"),
    V("the same Host twice", TD_EINVAL, "GET / HTTP/1.1\r\n" H H "\r\n"),
    V("two Hosts in 1.0", TD_EINVAL, "GET / HTTP/1.0\r\n" H "hOST: b\r\n\r\n"),
    V("empty Host", TD_EINVAL, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    V("listed Host", TD_EINVAL, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    V("Host with a user", TD_EINVAL, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    V("Host with a path", TD_EINVAL, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    V("Host with a port", OK, "GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n"),
    V("Host with an odd port", TD_EINVAL, "GET / HTTP/1.1\r\nHost: a:8o\r\n\r\n"),
    V("Host with a long port", TD_EINVAL, "GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n"),
    V("Host is an IPv6 address", OK, "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
    V("Host is half an IPv6 address", TD_EINVAL, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    V("Host is an empty address", TD_EINVAL, "GET / HTTP/1.1\r\nHost: []\r\n\r\n"),
    /* Fields (§5). */
    V("space before the first field", TD_EINVAL, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    V("tab before the first field", TD_EINVAL, "GET / HTTP/1.1\r\n\tX: y\r\n" H "\r\n"),
    V("obs-fold", TD_EINVAL, "GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n"),
    V("obs-fold of nothing", TD_EINVAL, "GET / HTTP/1.1\r\n" H "X: a\r\n \r\n\r\n"),
    V("space before the colon", TD_EINVAL, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    V("tab before the colon", TD_EINVAL, "GET / HTTP/1.1\r\n" H "Content-Length\t: 5\r\n\r\n"),
    V("no colon", TD_EINVAL, "GET / HTTP/1.1\r\n" H "X\r\n\r\n"),
    V("no name", TD_EINVAL, "GET / HTTP/1.1\r\n" H ": x\r\n\r\n"),
    V("NUL in a name", TD_EINVAL, "GET / HTTP/1.1\r\n" H "X\0: x\r\n\r\n"),
    V("NUL in a value", TD_EINVAL, "GET / HTTP/1.1\r\n" H "X: \0x\r\n\r\n"),
    V("escape in a value", TD_EINVAL, "GET / HTTP/1.1\r\n" H "X: \x1b[1m\r\n\r\n"),
    V("DEL in a value", TD_EINVAL, "GET / HTTP/1.1\r\n" H "X: \x7f\r\n\r\n"),
    V("non-ASCII in a name", TD_EINVAL, "GET / HTTP/1.1\r\n" H "X\xc3\xa9: x\r\n\r\n"),
    V("non-ASCII in a value", OK, "GET / HTTP/1.1\r\n" H "X: \xc3\xa9\xff\r\n\r\n"),
    V("bare CR in a value", TD_EINVAL, "GET / HTTP/1.1\r\n" H "X: a\rY: b\r\n\r\n"),
    V("bare LF in a value", TD_EINVAL, "GET / HTTP/1.1\r\n" H "X: a\nY: b\r\n\r\n"),
    V("head ends in LF", TD_EINVAL, "GET / HTTP/1.1\r\n" H "\n"),
    V("head ends in CR", TD_EINVAL, "GET / HTTP/1.1\r\n" H "\rX"),
    V("empty value", OK, "GET / HTTP/1.1\r\n" H "X:\r\nY: \t \r\n\r\n"),
    V("no blank after the colon", OK, "GET / HTTP/1.1\r\nHost:a\r\n\r\n"),
    V("unfinished", 0, "GET / HTTP/1.1\r\n" H "\r"),
    /* How long the body is (§6). */
    V("Content-Length", OK, "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n"),
    V("Content-Length with blanks", OK, "POST / HTTP/1.1\r\n" H "Content-Length:  5\t\r\n\r\n"),
    V("Content-Length +5", TD_EINVAL, "POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n"),
    V("Content-Length -5", TD_EINVAL, "POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\n"),
    V("Content-Length 0x5", TD_EINVAL, "POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n"),
    V("Content-Length 05", TD_EINVAL, "POST / HTTP/1.1\r\n" H "Content-Length: 05\r\n\r\n"),
    V("Content-Length 5,5", TD_EINVAL, "POST / HTTP/1.1\r\n" H "Content-Length: 5,5\r\n\r\n"),
    V("Content-Length 5, 6", TD_EINVAL, "POST / HTTP/1.1\r\n" H "Content-Length: 5, 6\r\n\r\n"),
    V("Content-Length 5 5", TD_EINVAL, "POST / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n\r\n"),
    V("Content-Length 5.0", TD_EINVAL, "POST / HTTP/1.1\r\n" H "Content-Length: 5.0\r\n\r\n"),
    V("Content-Length empty", TD_EINVAL, "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n"),
    V("Content-Length of 2^64", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n"),
    V("Content-Length twice, equal", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
    V("Content-Length twice, differing", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\ncontent-length: 6\r\n\r\n"),
    V("CL.TE", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    V("TE.CL", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
    V("TE.CL 0", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
    V("chunked", OK, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"),
    V("Chunked", OK, "POST / HTTP/1.1\r\n" H "transfer-encoding:\tChunkeD \r\n\r\n"),
    V("chunked twice", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    V("chunked then identity", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"),
    V("chunked, chunked", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n"),
    V("chunked, identity", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n"),
    V("gzip, chunked", TD_ENOTIMPL,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n"),
    V("gzip", TD_EINVAL, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n"),
    V("identity", TD_EINVAL, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n"),
    V("xchunked", TD_EINVAL, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n"),
    V("chunked with a parameter", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;a=b\r\n\r\n"),
    V("quoted chunked", TD_EINVAL, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n"),
    V("chunked behind a comma", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: ,chunked\r\n\r\n"),
    V("chunked before a comma", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked,\r\n\r\n"),
    V("chunked behind a vertical tab", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b" "chunked\r\n\r\n"),
    V("chunked on a folded line", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n chunked\r\n\r\n"),
    V("empty Transfer-Encoding", TD_EINVAL, "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n"),
    V("Transfer-Encoding in a field's shadow", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "X: y\nTransfer-Encoding: chunked\r\n\r\n"),
    V("space before the colon of TE", TD_EINVAL,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n"),
    V("chunked in 1.0", TD_EINVAL, "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n"),
    V("underscores are another name", OK, "POST / HTTP/1.1\r\n" H "Content_Length: x\r\n\r\n"),
    /* Upgrade (RFC 9110 §7.8, RFC 9931). */
    V("websocket with a length", TD_EINVAL,
      "GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\n"),
    V("websocket with chunks", TD_EINVAL,
      "GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\nConnection: upgrade\r\n"
      "Transfer-Encoding: chunked\r\n\r\n"),
    V("websocket with an empty body", OK,
      "GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n"),
    V("h2c with a length is only ignored", OK,
      "POST / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\n"),
};
/* clang-format on */

/* Parses a copy that ends where its memory does, so that the sanitizer sees a look beyond. */
static int parse(struct td_slice text, struct td_http_request *request, char **ret_copy)
{
    char *copy = malloc(text.len ? text.len : 1);

    assert_non_null(copy);
    memcpy(copy, text.ptr, text.len);
    int r = td_http_parse_request(td_slice(copy, text.len), request);
    if (ret_copy)
        *ret_copy = copy;
    else
        free(copy);
    return r;
}

/* Checks that each shorter input gives either nothing yet or already the final answer. */
static void check_cuts(const char *name, struct td_slice text, int whole)
{
    struct td_http_request request;
    bool decided = false;

    for (size_t cut = 0; cut < text.len; cut++) {
        int r = parse(td_slice_to(text, cut), &request, NULL);
        if (r != 0 && r != whole)
            fail_msg("%s: %d after %zu bytes, %d in the end", name, r, cut, whole);
        if (r == 0 && decided)
            fail_msg("%s: wants more after %zu bytes, after it had decided", name, cut);
        decided = r != 0;
    }
}

static void replay_vectors(void **state)
{
    struct td_http_request request;

    for (size_t i = 0; i < TD_ARRAY_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        int want = v->expect == OK ? (int)v->text.len : v->expect;
        int r = parse(v->text, &request, NULL);
        if (r != want)
            fail_msg("%s: %d instead of %d", v->name, r, want);
        check_cuts(v->name, v->text, r);
    }
}

/* What stands behind a head neither changes nor joins it. */
static void leave_what_follows(void **state)
{
    struct td_http_request request;
    char text[1024];

    for (size_t i = 0; i < TD_ARRAY_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct td_slice tail = TD_S("GET /next HTTP/1.1\r\nHost: evil\r\n\r\n");
        if (v->expect == 0)
            continue;
        assert_true(v->text.len + tail.len <= sizeof(text));
        memcpy(text, v->text.ptr, v->text.len);
        memcpy(text + v->text.len, tail.ptr, tail.len);
        int r = parse(td_slice(text, v->text.len + tail.len), &request, NULL);
        assert_int_equal(r, v->expect == OK ? (int)v->text.len : v->expect);
    }
}

static void assert_slice(struct td_slice got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr, want, got.len);
}

static void read_facts(void **state)
{
    struct td_http_request request;
    char *copy = NULL;
    int r = parse(TD_S("POST /a/b%20c?x=1&y HTTP/1.1\r\nhost: a.example:80\r\nX-One:  1 \r\n"
                       "Accept: text/html, Text/Event-Stream ,*/*\r\nEXPECT: 100-Continue\r\n"
                       "Content-Length: 18446744073709551615\r\nx-one: 2\r\n\r\n"),
                  &request, &copy);

    assert_true(r > 0);
    assert_int_equal(request.method, TD_HTTP_POST);
    assert_slice(request.method_text, "POST");
    assert_slice(request.target, "/a/b%20c?x=1&y");
    assert_slice(request.path, "/a/b%20c");
    assert_slice(request.query, "x=1&y");
    assert_slice(request.host, "a.example:80");
    assert_true(request.content_length == UINT64_MAX);
    assert_true(request.keep_alive && request.expect_continue);
    assert_false(request.chunked || request.upgrade || request.http10);
    assert_int_equal(request.n_headers, 6);
    assert_slice(td_http_header(&request, "x-ONE"), "1");
    assert_null(td_http_header(&request, "x-on").ptr);
    assert_true(td_http_header_has(&request, "accept", "text/event-stream"));
    assert_true(td_http_header_has(&request, "X-One", "2"));
    assert_false(td_http_header_has(&request, "Accept", "text"));
    assert_false(td_http_header_has(&request, "Absent", "text"));
    free(copy);
}

static void read_absolute_form(void **state)
{
    struct td_http_request request;
    char *copy = NULL;

    assert_true(parse(TD_S("GET http://a:1/x/?q HTTP/1.0\r\n\r\n"), &request, &copy) > 0);
    assert_slice(request.target, "/x/?q");
    assert_slice(request.path, "/x/");
    assert_slice(request.query, "q");
    assert_slice(request.host, "a:1");
    free(copy);
    assert_true(parse(TD_S("GET http://a HTTP/1.1\r\nHost: A\r\n\r\n"), &request, &copy) > 0);
    assert_slice(request.path, "/");
    assert_int_equal(request.query.len, 0);
    free(copy);
}

static void know_methods(void **state)
{
    static const char *const names[] = {"GET",   "HEAD",   "POST",    "PUT",
                                        "PATCH", "DELETE", "OPTIONS", "TRACE"};
    struct td_http_request request;
    char text[64];

    for (size_t i = 0; i < TD_ARRAY_LEN(names); i++) {
        int len = snprintf(text, sizeof(text), "%s / HTTP/1.1\r\n" H "\r\n", names[i]);
        assert_int_equal(parse(td_slice(text, (size_t)len), &request, NULL), len);
        assert_int_equal(request.method, i);
    }
}

/* Parses a request line of that version with these fields. */
static struct td_http_request with_fields(const char *version, const char *fields)
{
    struct td_http_request request;
    char text[512];
    int len = snprintf(text, sizeof(text), "GET / HTTP/%s\r\n" H "%s\r\n", version, fields);

    assert_true(len > 0 && (size_t)len < sizeof(text));
    assert_int_equal(parse(td_slice(text, (size_t)len), &request, NULL), len);
    return request;
}

static void decide_keep_alive(void **state)
{
    assert_true(with_fields("1.1", "").keep_alive);
    assert_true(with_fields("1.1", "Connection: closed\r\n").keep_alive);
    assert_false(with_fields("1.1", "Connection: Close\r\n").keep_alive);
    assert_false(with_fields("1.1", "Connection: keep-alive, close\r\n").keep_alive);
    assert_false(with_fields("1.1", "Connection: x\r\nConnection: ,close\r\n").keep_alive);
    assert_false(with_fields("1.0", "").keep_alive);
    assert_true(with_fields("1.0", "Connection: Keep-Alive\r\n").keep_alive);
    assert_false(with_fields("1.0", "Connection: keep-alive\r\nConnection: close\r\n").keep_alive);
}

static void decide_upgrade(void **state)
{
    assert_true(with_fields("1.1", "Connection: Upgrade\r\nUpgrade: WebSocket\r\n").upgrade);
    assert_true(with_fields("1.1", "Upgrade: h2c, websocket\r\nConnection: keep-alive, Upgrade\r\n")
                    .upgrade);
    assert_true(with_fields("1.1", "Connection: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n")
                    .upgrade);
    assert_false(with_fields("1.1", "Upgrade: websocket\r\n").upgrade);
    assert_false(with_fields("1.1", "Connection: upgrade\r\n").upgrade);
    assert_false(with_fields("1.1", "Connection: upgrade\r\nUpgrade: websocket2\r\n").upgrade);
    assert_false(with_fields("1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n").upgrade);
}

static void decide_expect(void **state)
{
    assert_true(
        with_fields("1.1", "Expect: 100-continue\r\nContent-Length: 1\r\n").expect_continue);
    assert_true(with_fields("1.1", "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n")
                    .expect_continue);
    assert_false(with_fields("1.1", "Expect: 100-continue\r\n").expect_continue);
    assert_false(with_fields("1.1", "Expect: x\r\nContent-Length: 1\r\n").expect_continue);
    assert_false(
        with_fields("1.0", "Expect: 100-continue\r\nContent-Length: 1\r\n").expect_continue);
}

/* A head of exactly `len` bytes. */
static size_t long_head(char *text, size_t len)
{
    struct td_slice start = TD_S("GET / HTTP/1.1\r\n" H "X: "), end = TD_S("\r\n\r\n");

    memset(text, 'x', len);
    memcpy(text, start.ptr, start.len);
    memcpy(text + len - end.len, end.ptr, end.len);
    return len;
}

static void bound_the_head(void **state)
{
    static char text[2 * TD_HTTP_HEAD_MAX];
    struct td_http_request request;
    size_t len = long_head(text, TD_HTTP_HEAD_MAX);

    assert_int_equal(parse(td_slice(text, len), &request, NULL), len);
    assert_int_equal(parse(td_slice(text, len - 1), &request, NULL), 0);
    len = long_head(text, TD_HTTP_HEAD_MAX + 1);
    assert_int_equal(parse(td_slice(text, TD_HTTP_HEAD_MAX - 1), &request, NULL), 0);
    assert_int_equal(parse(td_slice(text, TD_HTTP_HEAD_MAX), &request, NULL), TD_EHEADERSIZE);
    assert_int_equal(parse(td_slice(text, len), &request, NULL), TD_EHEADERSIZE);
    len = long_head(text, sizeof(text));
    text[TD_HTTP_HEAD_MAX + 7] = '\0'; /* lies behind the limit: not looked at */
    assert_int_equal(parse(td_slice(text, len), &request, NULL), TD_EHEADERSIZE);
}

static void bound_the_target(void **state)
{
    static char text[TD_HTTP_TARGET_MAX + 64] = "GET /";
    struct td_slice end = TD_S(" HTTP/1.1\r\n" H "\r\n");
    struct td_http_request request;

    memset(text + 5, 'x', TD_HTTP_TARGET_MAX);
    memcpy(text + 4 + TD_HTTP_TARGET_MAX, end.ptr, end.len);
    size_t len = 4 + TD_HTTP_TARGET_MAX + end.len;
    assert_int_equal(parse(td_slice(text, len), &request, NULL), len);
    text[4 + TD_HTTP_TARGET_MAX] = 'x';
    assert_int_equal(parse(td_slice(text, 4 + TD_HTTP_TARGET_MAX), &request, NULL), 0);
    assert_int_equal(parse(td_slice(text, len), &request, NULL), TD_EURISIZE);
}

static void bound_the_fields(void **state)
{
    char text[1024] = "GET / HTTP/1.1\r\n" H;
    size_t len = strlen(text);
    struct td_http_request request;

    for (size_t i = 1; i < TD_HTTP_HEADERS_MAX; i++, len += 5)
        memcpy(text + len, "X:y\r\n", 5);
    memcpy(text + len, "\r\n", 2);
    assert_int_equal(parse(td_slice(text, len + 2), &request, NULL), len + 2);
    assert_int_equal(request.n_headers, TD_HTTP_HEADERS_MAX);
    memcpy(text + len, "X:y\r\n\r\n", 7);
    assert_int_equal(parse(td_slice(text, len + 7), &request, NULL), TD_EHEADERSIZE);
}

static void walk_a_query(void **state)
{
    struct td_slice query = TD_S("&a=1&&b&c==x&=d&"), name, value;
    static const char *const want[][2] = {
        {"a", "1" },
        {"b", ""  },
        {"c", "=x"},
        {"",  "d" }
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(want); i++) {
        assert_true(td_http_query_next(&query, &name, &value));
        assert_slice(name, want[i][0]);
        assert_slice(value, want[i][1]);
    }
    assert_false(td_http_query_next(&query, &name, &value));
    assert_false(td_http_query_next(&query, &name, &value));
}

static void unescape(void **state)
{
    static const char *const broken[] = {"%",   "%4",  "%4g", "%g4", "a%",
                                         "%00", "%-1", "%+1", "%%41"};
    struct td_buf out = TD_BUF_INIT(16);

    assert_int_equal(td_http_unescape(TD_S("a%2fb+%C3%a9%25"), false, &out), 0);
    assert_slice(td_buf_slice(&out), "a/b+\xc3\xa9%");
    td_buf_reset(&out);
    assert_int_equal(td_http_unescape(TD_S("a+%2B"), true, &out), 0);
    assert_slice(td_buf_slice(&out), "a +");
    for (size_t i = 0; i < TD_ARRAY_LEN(broken); i++) {
        assert_int_equal(td_http_unescape(td_slice_str(broken[i]), true, &out), TD_EINVAL);
        assert_slice(td_buf_slice(&out), "a +");
    }
    assert_int_equal(td_http_unescape(td_slice("a\0b", 3), false, &out), TD_EINVAL);
    assert_int_equal(td_http_unescape(TD_S("12345678901234"), false, &out), TD_ETOOLARGE);
    assert_slice(td_buf_slice(&out), "a +");
    td_buf_done(&out);
}

/* Each status of the table of errors has its phrase. */
static void name_statuses(void **state)
{
#define TD_ERR(name, number, code, http, close, hint) assert_true(strlen(td_http_reason(http)) > 0);
#include "base/err.def"
#undef TD_ERR
    assert_string_equal(td_http_reason(101), "Switching Protocols");
    assert_string_equal(td_http_reason(299), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay_vectors),   cmocka_unit_test(leave_what_follows),
        cmocka_unit_test(read_facts),       cmocka_unit_test(read_absolute_form),
        cmocka_unit_test(know_methods),     cmocka_unit_test(decide_keep_alive),
        cmocka_unit_test(decide_upgrade),   cmocka_unit_test(decide_expect),
        cmocka_unit_test(bound_the_head),   cmocka_unit_test(bound_the_target),
        cmocka_unit_test(bound_the_fields), cmocka_unit_test(walk_a_query),
        cmocka_unit_test(unescape),         cmocka_unit_test(name_statuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
