/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a request.  One pass from left to right that stops at the first fault: what a prefix of
 * the input is refused for, the whole input is refused for. */
#include "codec/http1.h"
#include "base/err.h"
#include "codec/http1_chars.h"

#define PORT_LEN_MAX 5

/* Which fields with a meaning for framing have been seen. */
enum {
    SEEN_HOST = 1,
    SEEN_LENGTH = 2,
    SEEN_CODING = 4,
    SEEN_CLOSE = 8,
    SEEN_KEEP_ALIVE = 16,
    SEEN_CONNECTION_UPGRADE = 32,
    SEEN_UPGRADE_WEBSOCKET = 64,
    SEEN_EXPECT = 128,
};

struct parser {
    const char *at, *end;
    struct td_http_request *request;
    struct td_slice authority; /* of an absolute-form target */
    unsigned seen;
};

/* The parts of the parser return 1 when they are done, 0 when the input ends in their midst, or an error. */
static int need_more(void)
{
    return 0;
}

static int take_crlf(struct parser *p)
{
    if (p->at == p->end)
        return need_more();
    if (p->at[0] != '\r')
        return TD_EINVAL;
    if (p->end - p->at < 2)
        return need_more();
    if (p->at[1] != '\n')
        return TD_EINVAL; /* a bare CR (RFC 9112 §2.2) */
    p->at += 2;
    return 1;
}

static enum td_http_method method_of(struct td_slice text)
{
    static const struct {
        struct td_slice text;
        enum td_http_method method;
    } methods[] = {
        {{"GET", 3},     TD_HTTP_GET    },
        {{"POST", 4},    TD_HTTP_POST   },
        {{"PUT", 3},     TD_HTTP_PUT    },
        {{"DELETE", 6},  TD_HTTP_DELETE },
        {{"PATCH", 5},   TD_HTTP_PATCH  },
        {{"HEAD", 4},    TD_HTTP_HEAD   },
        {{"OPTIONS", 7}, TD_HTTP_OPTIONS},
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(methods); i++)
        if (td_slice_eq(text, methods[i].text))
            return methods[i].method;
    return TD_HTTP_OTHER;
}

static int take_method(struct parser *p)
{
    const char *start = p->at;

    while (p->at < p->end && td_http_is(*p->at, TD_HTTP_TOKEN))
        p->at++;
    size_t len = (size_t)(p->at - start);
    if (len > TD_HTTP_METHOD_MAX)
        return TD_ENOTIMPL; /* RFC 9112 §3 */
    if (p->at == p->end)
        return need_more();
    if (*p->at != ' ' || len == 0)
        return TD_EINVAL;
    p->request->method_text = td_slice(start, len);
    p->request->method = method_of(p->request->method_text);
    p->at++;
    return 1;
}

/* Takes the characters of the target; its form is checked once the line is whole (check_target), so that
 * the preface of HTTP/2, `PRI * HTTP/2.0`, is told that it is the version that is wrong. */
static int take_target(struct parser *p)
{
    const char *start = p->at;

    while (p->at < p->end && td_http_is(*p->at, TD_HTTP_TARGET)) {
        if (p->at - start == TD_HTTP_TARGET_MAX)
            return TD_EURISIZE;
        p->at++;
    }
    if (p->at == p->end)
        return need_more();
    if (*p->at != ' ' || p->at == start)
        return TD_EINVAL;
    p->request->target = td_slice(start, (size_t)(p->at - start));
    p->at++;
    return 1;
}

static int take_version(struct parser *p)
{
    static const char shape[] = "HTTP/0.0"; /* '0' stands for a digit */

    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        if (p->at + i == p->end)
            return need_more();
        char c = p->at[i];
        if (shape[i] == '0' ? c < '0' || c > '9' : c != shape[i])
            return TD_EINVAL;
    }
    if (p->at[5] != '1' || p->at[7] > '1')
        return TD_EVERSION;
    p->request->http10 = p->at[7] == '0';
    p->at += sizeof(shape) - 1;
    return 1;
}

/* Whether `text` is a host with an optional port (RFC 9112 §3.2; of RFC 3986's hosts, those that occur:
 * names, IPv4 addresses and IPv6 addresses in brackets). */
static bool host_valid(struct td_slice text)
{
    size_t at = 0;

    if (text.len > 0 && text.ptr[0] == '[') {
        for (at = 1; at < text.len && text.ptr[at] != ']'; at++)
            if (td_http_hex(text.ptr[at]) < 0 && text.ptr[at] != ':' && text.ptr[at] != '.')
                return false;
        if (at == text.len || at == 1)
            return false;
        at++;
    } else {
        while (at < text.len && td_http_is(text.ptr[at], TD_HTTP_HOST))
            at++;
        if (at == 0)
            return false;
    }
    if (at == text.len)
        return true;
    if (text.ptr[at++] != ':' || text.len - at > PORT_LEN_MAX)
        return false;
    while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
        at++;
    return at == text.len;
}

/* Reduces `scheme://authority/path` to the path (RFC 9112 §3.2.2). */
static int reduce_absolute(struct parser *p)
{
    struct td_slice *target = &p->request->target;
    size_t scheme_len = 0;

    if (target->len > 7 && td_slice_eq_nocase(td_slice_to(*target, 7), TD_S("http://")))
        scheme_len = 7;
    else if (target->len > 8 && td_slice_eq_nocase(td_slice_to(*target, 8), TD_S("https://")))
        scheme_len = 8;
    else
        return TD_EINVAL;
    struct td_slice rest = td_slice_from(*target, scheme_len);
    const char *slash = memchr(rest.ptr, '/', rest.len);
    p->authority = td_slice_to(rest, slash ? (size_t)(slash - rest.ptr) : rest.len);
    if (!host_valid(p->authority))
        return TD_EINVAL; /* also user names, and a query behind an empty path */
    *target = slash ? td_slice_from(rest, p->authority.len) : TD_S("/");
    return 1;
}

static int check_target(struct parser *p)
{
    struct td_http_request *request = p->request;

    if (td_slice_eq(request->method_text, TD_S("CONNECT")))
        return TD_EINVAL; /* no proxy; what follows a refused one must stay unread (RFC 9931) */
    if (td_slice_eq(request->target, TD_S("*"))) {
        if (request->method != TD_HTTP_OPTIONS)
            return TD_EINVAL;
    } else if (request->target.ptr[0] != '/') {
        int r = reduce_absolute(p);
        if (r < 0)
            return r;
    }
    const char *mark = memchr(request->target.ptr, '?', request->target.len);
    size_t path_len = mark ? (size_t)(mark - request->target.ptr) : request->target.len;
    request->path = td_slice_to(request->target, path_len);
    request->query = mark ? td_slice_from(request->target, path_len + 1) : TD_S("");
    return 1;
}

static int take_request_line(struct parser *p)
{
    int r;

    /* One empty line is tolerated before it (RFC 9112 §2.2): some clients end a body with one. */
    if (p->at < p->end && *p->at == '\r' && (r = take_crlf(p)) <= 0)
        return r;
    if ((r = take_method(p)) <= 0 || (r = take_target(p)) <= 0 || (r = take_version(p)) <= 0)
        return r;
    if ((r = take_crlf(p)) <= 0)
        return r;
    return check_target(p);
}

static bool list_has(struct td_slice list, struct td_slice token)
{
    struct td_slice member;

    while (td_slice_split(&list, ',', &member))
        if (td_slice_eq_nocase(td_slice_trim(member), token))
            return true;
    return false;
}

/* Only `chunked` frames a request's body.  Another coding before it is one we do not know (501); any other
 * text leaves the length of the body open, and so the connection with it (RFC 9112 §6.1, §6.3). */
static int read_coding(struct parser *p, struct td_slice value)
{
    struct td_slice rest = value, member = {0};

    if (p->request->http10 || (p->seen & (SEEN_CODING | SEEN_LENGTH)))
        return TD_EINVAL;
    p->seen |= SEEN_CODING;
    if (td_slice_eq_nocase(value, TD_S("chunked"))) {
        p->request->chunked = true;
        return 1;
    }
    while (td_slice_split(&rest, ',', &member)) {
        member = td_slice_trim(member);
        bool last = !rest.ptr;
        if (member.len == 0 || last != td_slice_eq_nocase(member, TD_S("chunked")))
            return TD_EINVAL;
    }
    return TD_ENOTIMPL;
}

static int read_length(struct parser *p, struct td_slice value)
{
    if (p->seen & (SEEN_LENGTH | SEEN_CODING))
        return TD_EINVAL;
    p->seen |= SEEN_LENGTH;
    if (value.len > 1 && value.ptr[0] == '0')
        return TD_EINVAL; /* octal to some */
    return td_slice_u64(value, &p->request->content_length) < 0 ? TD_EINVAL : 1;
}

static int read_host(struct parser *p, struct td_slice value)
{
    if ((p->seen & SEEN_HOST) || !host_valid(value))
        return TD_EINVAL;
    if (p->authority.ptr && !td_slice_eq_nocase(p->authority, value))
        return TD_EINVAL;
    p->seen |= SEEN_HOST;
    p->request->host = value;
    return 1;
}

static int read_connection(struct parser *p, struct td_slice value)
{
    if (list_has(value, TD_S("close")))
        p->seen |= SEEN_CLOSE;
    if (list_has(value, TD_S("keep-alive")))
        p->seen |= SEEN_KEEP_ALIVE;
    if (list_has(value, TD_S("upgrade")))
        p->seen |= SEEN_CONNECTION_UPGRADE;
    return 1;
}

/* Acts on the fields that decide what follows the head. */
static int read_field(struct parser *p, const struct td_http_header *field)
{
    switch (field->name.len) {
    case 4:
        if (td_slice_eq_nocase(field->name, TD_S("host")))
            return read_host(p, field->value);
        break;
    case 6:
        if (td_slice_eq_nocase(field->name, TD_S("expect")) &&
            td_slice_eq_nocase(field->value, TD_S("100-continue")))
            p->seen |= SEEN_EXPECT;
        break;
    case 7:
        if (td_slice_eq_nocase(field->name, TD_S("upgrade")) &&
            list_has(field->value, TD_S("websocket")))
            p->seen |= SEEN_UPGRADE_WEBSOCKET;
        break;
    case 10:
        if (td_slice_eq_nocase(field->name, TD_S("connection")))
            return read_connection(p, field->value);
        break;
    case 14:
        if (td_slice_eq_nocase(field->name, TD_S("content-length")))
            return read_length(p, field->value);
        break;
    case 17:
        if (td_slice_eq_nocase(field->name, TD_S("transfer-encoding")))
            return read_coding(p, field->value);
        break;
    default: break;
    }
    return 1;
}

/* A line that begins with a blank (obs-fold, RFC 9112 §5.2) has no name and is refused for that. */
static int take_field(struct parser *p)
{
    struct td_http_request *request = p->request;

    if (request->n_headers == TD_HTTP_HEADERS_MAX)
        return TD_EHEADERSIZE;
    struct td_http_header *field = &request->headers[request->n_headers];
    const char *start = p->at;
    while (p->at < p->end && td_http_is(*p->at, TD_HTTP_TOKEN))
        p->at++;
    if (p->at == p->end)
        return need_more();
    if (*p->at != ':' || p->at == start)
        return TD_EINVAL; /* also for a blank before the colon (§5.1) */
    field->name = td_slice(start, (size_t)(p->at - start));
    start = ++p->at;
    while (p->at < p->end && td_http_is(*p->at, TD_HTTP_VALUE))
        p->at++;
    field->value = td_slice_trim(td_slice(start, (size_t)(p->at - start)));
    int r = take_crlf(p);
    if (r <= 0)
        return r;
    request->n_headers++;
    return read_field(p, field);
}

/* What only the whole head can tell. */
static int finish(struct parser *p)
{
    struct td_http_request *request = p->request;
    unsigned upgrade = SEEN_CONNECTION_UPGRADE | SEEN_UPGRADE_WEBSOCKET;
    bool has_body = request->chunked || request->content_length > 0;

    if (!(p->seen & SEEN_HOST)) {
        if (!request->http10)
            return TD_EINVAL; /* RFC 9112 §3.2 */
        request->host = p->authority.ptr ? p->authority : TD_S("");
    }
    if (request->http10) {
        request->keep_alive = (p->seen & SEEN_KEEP_ALIVE) && !(p->seen & SEEN_CLOSE);
        return 1;
    }
    request->keep_alive = !(p->seen & SEEN_CLOSE);
    request->expect_continue = (p->seen & SEEN_EXPECT) && has_body;
    request->upgrade = (p->seen & upgrade) == upgrade;
    /* Is the body a request's, or frames?  Two servers could differ. */
    return request->upgrade && has_body ? TD_EINVAL : 1;
}

static int take_head(struct parser *p)
{
    int r = take_request_line(p);

    while (r > 0) {
        if (p->at == p->end)
            return need_more();
        if (*p->at == '\r') {
            r = take_crlf(p);
            return r <= 0 ? r : finish(p);
        }
        r = take_field(p);
    }
    return r;
}

int td_http_parse_request(struct td_slice in, struct td_http_request *request)
{
    size_t len = TD_MIN(in.len, (size_t)TD_HTTP_HEAD_MAX);
    struct parser p = {.at = in.ptr, .end = len ? in.ptr + len : in.ptr, .request = request};

    request->host = TD_S("");
    request->content_length = 0;
    request->chunked = false;
    request->http10 = false;
    request->keep_alive = false;
    request->expect_continue = false;
    request->upgrade = false;
    request->n_headers = 0;

    int r = take_head(&p);
    if (r < 0)
        return r;
    if (r == 0)
        return len == TD_HTTP_HEAD_MAX ? TD_EHEADERSIZE : 0;
    return (int)(p.at - in.ptr);
}

struct td_slice td_http_header(const struct td_http_request *request, const char *name)
{
    struct td_slice wanted = td_slice_str(name);

    for (size_t i = 0; i < request->n_headers; i++)
        if (td_slice_eq_nocase(request->headers[i].name, wanted))
            return request->headers[i].value;
    return (struct td_slice){NULL, 0};
}

bool td_http_header_has(const struct td_http_request *request, const char *name, const char *token)
{
    struct td_slice wanted = td_slice_str(name), member = td_slice_str(token);

    for (size_t i = 0; i < request->n_headers; i++)
        if (td_slice_eq_nocase(request->headers[i].name, wanted) &&
            list_has(request->headers[i].value, member))
            return true;
    return false;
}
