/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, as they come. */
#include "edge/http.h"
#include "base/assert.h"
#include "base/err.h"
#include "edge/ws.h"
#include <errno.h>

static void refuse(struct td_worker *worker, struct td_conn *conn, int err, const char *what)
{
    struct td_http_request head = {.method = TD_HTTP_GET, .keep_alive = false};
    struct td_request request = {
        worker, conn, &head, {NULL, 0},
           NULL
    };

    td_respond_error(&request, err, td_slice_str(what));
}

/* Publishes are answered when they are durable; whatever is asked behind them waits for that, so that a connection reads its own
 * writes. */
static bool must_wait(const struct td_conn *conn, const struct td_http_request *head)
{
    return conn->out && conn->out->n > 0 &&
           !(head->method == TD_HTTP_POST && td_slice_eq(head->path, TD_S("/api/v1/events")));
}

/* Decodes more of a chunked body.  1 when it is whole, 0 when not, or an error. */
static int decode_chunks(struct td_inbox *in)
{
    struct td_slice rest = td_slice_from(td_buf_slice(&in->bytes), in->parsed);
    size_t before = rest.len;
    struct td_slice piece;
    int r;

    while ((r = td_http_body_next(&in->body, &rest, &piece)) > 0) {
        r = td_buf_put(&in->content, piece);
        if (r < 0)
            return r;
    }
    in->parsed += before - rest.len;
    if (r < 0)
        return r;
    return in->body.done;
}

static void send_continue(struct td_worker *worker, struct td_conn *conn)
{
    struct td_outbox *out = td_conn_out(worker, conn);

    if (out && td_buf_puts(&out->ready, "HTTP/1.1 100 Continue\r\n\r\n") < 0)
        td_conn_drop(worker, conn, "no memory");
    td_conn_dirty(worker, conn);
}

static void serve(struct td_worker *worker, struct td_conn *conn,
                  const struct td_http_request *head, struct td_slice body)
{
    struct td_request request = {worker, conn, head, body, NULL};

    TD_COUNT(worker, http_requests);
    conn->active = worker->tick;
    if (conn->over_limit) {
        TD_COUNT(worker, refused);
        td_respond_error_with(&request, TD_EMANY,
                              TD_S("This server has no room for more connections."),
                              (struct td_slice){NULL, 0});
        return;
    }
    worker->handler.request(&request, worker->handler.arg);
}

/* What one look at the input came to: the bytes used, or … */
enum { NEED_MORE = 0, WAIT = -1, ENDED = -2 };

/* A chunked body is decoded as it comes, so it always lies in the inbox. */
static int64_t take_chunked(struct td_worker *worker, struct td_conn *conn,
                            const struct td_http_request *head, size_t head_len)
{
    struct td_inbox *in = conn->in;

    if (!in->chunked) {
        in->chunked = true;
        in->parsed = head_len;
        td_http_body_init(&in->body, head);
    }
    int r = decode_chunks(in);
    if (r < 0) {
        refuse(worker, conn, r,
               r == TD_ETOOLARGE ? "The body is larger than this server takes."
                                 : "The chunked body is malformed.");
        return ENDED;
    }
    if (r == 0)
        return NEED_MORE;
    size_t used = in->parsed;
    serve(worker, conn, head, td_buf_slice(&in->content));
    if (conn->in == in) {
        in->chunked = in->continued = false;
        td_buf_done(&in->content);
    }
    return (int64_t)used;
}

/* Looks at one request at the start of `bytes` (of the inbox when `inboxed`). */
static int64_t take_one(struct td_worker *worker, struct td_conn *conn, struct td_slice bytes,
                        bool inboxed)
{
    struct td_http_request head;

    int n = td_http_parse_request(bytes, &head);
    if (n < 0) {
        refuse(worker, conn, n, "The request can't be read.");
        return ENDED;
    }
    if (n == 0)
        return NEED_MORE;
    if (head.content_length > worker->options->body_bytes_max) {
        refuse(worker, conn, TD_ETOOLARGE, "The body is larger than this server takes.");
        return ENDED;
    }
    if (must_wait(conn, &head)) {
        conn->reading_paused = true; /* the flush of those answers comes back to it */
        return WAIT;
    }
    size_t whole = (size_t)n + (size_t)head.content_length;
    bool has_all = !head.chunked && bytes.len >= whole;
    if (!has_all && !inboxed)
        return NEED_MORE; /* comes again once it lies in the inbox */
    if (!has_all && head.expect_continue && !conn->in->continued) {
        conn->in->continued = true;
        send_continue(worker, conn);
        if (conn->state == TD_CONN_GONE)
            return ENDED;
    }
    if (head.chunked)
        return take_chunked(worker, conn, &head, (size_t)n);
    if (!has_all) {
        conn->in->need = whole;
        return NEED_MORE;
    }
    serve(worker, conn, &head, td_slice(bytes.ptr + n, (size_t)head.content_length));
    if (inboxed && conn->in)
        conn->in->continued = false;
    return (int64_t)whole;
}

static bool may_go_on(const struct td_worker *worker, const struct td_conn *conn)
{
    return conn->state == TD_CONN_HTTP && !conn->last_request &&
           (!conn->out || (td_outbox_unsent(conn->out) <= TD_CONN_OUT_HIGH &&
                           conn->out->n < worker->options->pending_publishes_max));
}

/* Keeps what is left for later. */
static void keep(struct td_worker *worker, struct td_conn *conn, struct td_slice rest)
{
    if (rest.len == 0 || conn->last_request || conn->state == TD_CONN_CLOSING ||
        conn->state == TD_CONN_GONE)
        return;
    struct td_inbox *in = td_conn_in(worker, conn);
    if (!in || td_buf_put(&in->bytes, rest) < 0)
        td_conn_drop(worker, conn, "no memory for input");
}

/* What came behind an upgrade are frames. */
static void pass_to_ws(struct td_worker *worker, struct td_conn *conn)
{
    struct td_buf early = conn->in->bytes;

    td_buf_init(&conn->in->bytes, early.max);
    td_conn_drop_inbox(conn);
    if (early.len > 0)
        td_ws_take(worker, conn, early.ptr, early.len);
    td_buf_done(&early);
}

bool td_http_resume(struct td_worker *worker, struct td_conn *conn)
{
    bool any = false;

    while (conn->in && may_go_on(worker, conn)) {
        struct td_inbox *in = conn->in;
        if (in->bytes.len == 0 || in->bytes.len < in->need)
            break;
        in->need = 0;
        int64_t used = take_one(worker, conn, td_buf_slice(&in->bytes), true);
        if (used <= 0 || conn->in != in)
            break;
        td_buf_consume(&in->bytes, (size_t)used);
        any = true;
        if (conn->state == TD_CONN_WS)
            pass_to_ws(worker, conn);
        else if (in->bytes.len == 0)
            td_conn_drop_inbox(conn);
    }
    return any;
}

void td_http_take(struct td_worker *worker, struct td_conn *conn, char *bytes, size_t len)
{
    struct td_slice rest = td_slice(bytes, len);

    if (conn->in) { /* a request has begun, or some wait */
        keep(worker, conn, rest);
        if (conn->state != TD_CONN_GONE)
            td_http_resume(worker, conn);
        return;
    }
    while (rest.len > 0 && may_go_on(worker, conn) && !conn->in) {
        int64_t used = take_one(worker, conn, rest, false);
        if (used <= 0)
            break;
        rest = td_slice_from(rest, (size_t)used);
    }
    if (conn->state == TD_CONN_WS) {
        /* RFC 6455 §4.1: a client waits for the 101; what it sent early is read as frames now that it is decided. */
        if (rest.len > 0)
            td_ws_take(worker, conn, bytes + (len - rest.len), rest.len);
        return;
    }
    keep(worker, conn, rest);
    if (conn->state == TD_CONN_HTTP && conn->in)
        td_http_resume(worker, conn);
}
