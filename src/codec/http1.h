/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 requests (RFC 9112), strict: what two servers could read in two ways is refused, so that nothing
 * can be smuggled through a proxy in front.  Bytes in, facts out: no IO, no allocation. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"

#define TD_HTTP_HEADERS_MAX    64
#define TD_HTTP_HEAD_MAX       (16 * 1024) /* request line and fields, in bytes */
#define TD_HTTP_TARGET_MAX     8192
#define TD_HTTP_METHOD_MAX     24
#define TD_HTTP_CHUNK_LINE_MAX 256 /* size and extensions of a chunk */
#define TD_HTTP_TRAILERS_MAX   (8 * 1024)

enum td_http_method {
    TD_HTTP_GET,
    TD_HTTP_HEAD,
    TD_HTTP_POST,
    TD_HTTP_PUT,
    TD_HTTP_PATCH,
    TD_HTTP_DELETE,
    TD_HTTP_OPTIONS,
    TD_HTTP_OTHER,
};

struct td_http_header {
    struct td_slice name, value; /* the value without the white space around it */
};

struct td_http_request {
    enum td_http_method method;
    struct td_slice method_text;
    struct td_slice target;      /* origin-form: path and query as sent (or `*`) */
    struct td_slice path, query; /* still percent-encoded; query without '?' */
    struct td_slice host;        /* with its port; empty only in HTTP/1.0 */
    uint64_t content_length;     /* 0 when there is no body, or it is chunked */
    bool chunked;
    bool http10;
    bool keep_alive;      /* the connection may serve another request after this one */
    bool expect_continue; /* the client waits for 100 before it sends the body (there is one) */
    bool upgrade; /* Connection: upgrade and Upgrade: websocket are both there, and no body */
    size_t n_headers;
    struct td_http_header headers[TD_HTTP_HEADERS_MAX];
};

/* Reads a request's head from the start of `in`.
 * Returns its length in bytes, 0 when `in` holds only part of it, or an error after which nothing more of the
 * connection may be read: TD_EINVAL, TD_EHEADERSIZE, TD_EURISIZE, TD_EVERSION, TD_ENOTIMPL (a transfer coding
 * before the chunked one, or a method that is too long).  Restart from the same byte with more input: the first
 * fault is found at its byte, and more input never changes an answer other than 0.  `request` is undefined
 * unless a length was returned.  Slices point into `in` (an empty absolute path: to a constant "/").
 *
 * Refused, among others (RFC 9112 §2.2, §3.2, §5.1, §6.1, §6.3): bare CR or LF, obs-fold, space before the
 * colon, NUL or control characters, no (in 1.1), several, empty or odd Host, several or signed or listed
 * Content-Length or one with leading zeros, Content-Length beside Transfer-Encoding, Transfer-Encoding in HTTP/1.0
 * or other than exactly `chunked`, a websocket upgrade with a body, a target that is not origin-form (or
 * absolute-form with the same host, or `*` for OPTIONS; so CONNECT is TD_EINVAL).  One empty line before the
 * request line is skipped (§2.2).  In HTTP/1.0, Upgrade and Expect are ignored. */
TD_MUST_USE int td_http_parse_request(struct td_slice in, struct td_http_request *request);

/* The value of the first header of that name (no regard to case), or an empty slice with ptr NULL. */
struct td_slice td_http_header(const struct td_http_request *request, const char *name);
/* Whether a comma-separated list in any header of that name holds `token` (no regard to case). */
bool td_http_header_has(const struct td_http_request *request, const char *name, const char *token);

/* The body of a request, decoded as it arrives. */
struct td_http_body {
    uint64_t _left; /* of the body, or of the chunk */
    uint64_t total; /* bytes of content given so far */
    unsigned _state;
    unsigned _overhead; /* bytes of the chunk's line, or of the trailers, so far; bounded */
    bool _chunked;
    bool done;
};

void td_http_body_init(struct td_http_body *body, const struct td_http_request *request);
/* Takes from the front of `in` what it understands and gives the next piece of content (a slice of the input).
 * Returns 1 with a piece, 0 when more input is needed or the body is done (see `done`; what then is left in `in`
 * belongs to the next request), or TD_EINVAL for a broken chunk (RFC 9112 §7.1: no size, one of more than 16
 * digits or 2^60 bytes, blanks around it, long or malformed extensions, no CRLF); after that every further call fails too.
 * Trailers are read, bounded, and dropped. */
TD_MUST_USE int td_http_body_next(struct td_http_body *body, struct td_slice *in,
                                  struct td_slice *ret_piece);

/* Walks `name=value` pairs of a query or form; empty pairs are skipped, a name without '=' has an empty value.
 * Percent-decoding is the caller's (td_http_unescape). */
bool td_http_query_next(struct td_slice *query, struct td_slice *ret_name,
                        struct td_slice *ret_value);
/* Appends the percent-decoded bytes; '+' becomes a space when `form`.  0, TD_EINVAL for a broken escape
 * or a NUL, or the error of the buffer; nothing is appended then. */
TD_MUST_USE int td_http_unescape(struct td_slice text, bool form, struct td_buf *out);

/* The reason phrase of a status ("Not Found"); "" when unknown. */
const char *td_http_reason(int status);
