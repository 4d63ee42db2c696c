/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, as they come.
 *
 * What has come and is not complete lies in the inbox; a request that came whole is served from the worker's scratch.
 *
 *     inbox:  [ done ][ head ][ body or chunks … ][ the next requests of a pipeline … ]
 *                     at
 */
#include "edge/http.h"
#include "base/assert.h"
#include "base/err.h"
#include "edge/admission.h"
#include "edge/conn_log.h"
#include "edge/ws.h"
#include <errno.h>

static struct td_slice inbox_rest(const struct td_inbox *in)
{
    return td_slice_from(td_buf_slice(&in->bytes), in->at);
}

/* Publishes are answered when they are durable; whatever is asked behind them waits for that, so that a connection reads its own
 * writes and answers stay in order. */
static bool must_wait(const struct td_conn *conn, const struct td_http_request *head)
{
    return conn->out && conn->out->n > 0 &&
           (head->method != TD_HTTP_POST || head->expect_continue ||
            !td_slice_eq(head->path, TD_S("/api/v1/events")));
}

/* Decodes what has come of a chunked body and takes it out of the inbox.  1 when the body is whole, 0 when not, or an error. */
static int decode_chunks(struct td_inbox *in, size_t head_len)
{
    struct td_slice coded = td_slice_from(inbox_rest(in), head_len), rest = coded, piece;
    int r;

    while ((r = td_http_body_next(&in->body, &rest, &piece)) > 0) {
        r = td_buf_put(&in->content, piece);
        if (r < 0)
            return r;
    }
    char *body = in->bytes.ptr + in->at + head_len;
    memmove(body, rest.ptr, rest.len);
    in->bytes.len -= coded.len - rest.len;
    return r < 0 ? r : in->body.done;
}

static void send_continue(struct td_worker *worker, struct td_conn *conn)
{
    struct td_outbox *out = td_conn_out(worker, conn);

    if (out && td_buf_puts(&out->ready, "HTTP/1.1 100 Continue\r\n\r\n") < 0)
        td_conn_drop(worker, conn, "no memory");
    td_conn_dirty(worker, conn);
}

static void serve(struct td_worker *worker, struct td_conn *conn, struct td_slice raw,
                  const struct td_http_request *head, struct td_slice body)
{
    struct td_request request = {worker, conn, head, body, td_reply_to(head), .raw = raw};

    TD_COUNT(worker, http_requests);
    conn->active = worker->tick;
    worker->handler.request(&request, worker->handler.arg);
}

/* What one look at the input came to: the bytes used, or … */
enum { NEED_MORE = 0, WAIT = -1, ENDED = -2 };

/* Asked once the head is there and before a body is gathered, so that nobody without a right to it makes the server hold one. */
static bool admit(struct td_worker *worker, struct td_conn *conn,
                  const struct td_http_request *head)
{
    struct td_request request = {
        .worker = worker, .conn = conn, .head = head, .reply = td_reply_to(head)};

    if (conn->in->admitted)
        return true;
    conn->in->admitted = true;
    if (!worker->handler.admit(&request, worker->handler.arg))
        return false;
    if (head->expect_continue)
        send_continue(worker, conn);
    return conn->state != TD_CONN_GONE;
}

/* A chunked body is decoded as it comes, so it always lies in the inbox. */
static int64_t take_chunked(struct td_worker *worker, struct td_conn *conn,
                            const struct td_http_request *head, size_t head_len)
{
    struct td_inbox *in = conn->in;

    if (!in->chunked) {
        in->chunked = true;
        td_http_body_init(&in->body, head);
    }
    int r = decode_chunks(in, head_len);
    if (r < 0) {
        if (r == TD_ETOOLARGE)
            TD_COUNT(worker, limited[TD_LIMITED_BODY]);
        td_conn_refuse(worker, conn, r,
                       r == TD_ETOOLARGE ? "The body is larger than this server takes."
                                         : "The chunked body is malformed.");
        return ENDED;
    }
    if (r == 0)
        return NEED_MORE;
    struct td_buf content = in->content;
    td_buf_init(&in->content, content.max);
    in->chunked = in->admitted = false;
    serve(worker, conn, td_slice(in->bytes.ptr + in->at, head_len), head, td_buf_slice(&content));
    td_buf_done(&content);
    return (int64_t)head_len;
}

/* Looks at one request at the start of `bytes` (the inbox's when `inboxed`). */
static int64_t take_one(struct td_worker *worker, struct td_conn *conn, struct td_slice bytes,
                        bool inboxed)
{
    struct td_http_request head;

    int n = td_http_parse_request(bytes, &head);
    if (n < 0) {
        td_conn_refuse(worker, conn, n, "The request can't be read.");
        return ENDED;
    }
    if (n == 0)
        return NEED_MORE;
    td_admission_request(worker, conn, &head);
    if (conn->over_limit) {
        TD_COUNT(worker, limited[TD_LIMITED_CONNECTIONS]);
        td_conn_log_refused(worker, conn, "too many connections");
        td_conn_refuse(worker, conn, TD_EMANY,
                       "There is no room for more connections, or for more from this address.");
        return ENDED;
    }
    if (head.content_length > worker->options->body_bytes_max) {
        TD_COUNT(worker, limited[TD_LIMITED_BODY]);
        td_conn_refuse(worker, conn, TD_ETOOLARGE, "The body is larger than this server takes.");
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
    if (!has_all && !admit(worker, conn, &head))
        return ENDED;
    if (head.chunked)
        return take_chunked(worker, conn, &head, (size_t)n);
    if (!has_all) {
        conn->in->need = whole;
        return NEED_MORE;
    }
    if (inboxed)
        conn->in->admitted = false;
    serve(worker, conn, td_slice_to(bytes, (size_t)n), &head,
          td_slice(bytes.ptr + n, (size_t)head.content_length));
    return (int64_t)whole;
}

/* Keeps what is left for later. */
static void keep(struct td_worker *worker, struct td_conn *conn, struct td_slice rest)
{
    if (rest.len == 0 || conn->last_request || conn->state == TD_CONN_CLOSING ||
        conn->state == TD_CONN_GONE)
        return;
    struct td_inbox *in = td_conn_in(worker, conn);
    if (!in) {
        td_conn_drop(worker, conn, "no memory for input");
        return;
    }
    td_buf_consume(&in->bytes, in->at);
    in->at = 0;
    int r = td_buf_put(&in->bytes, rest);
    if (r == TD_ETOOLARGE)
        td_conn_refuse(worker, conn, r, "The request is larger than this server takes.");
    else if (r < 0)
        td_conn_drop(worker, conn, "no memory for input");
}

/* What came behind an upgrade are frames. */
static void pass_to_ws(struct td_worker *worker, struct td_conn *conn)
{
    struct td_buf early = conn->in->bytes;
    size_t at = conn->in->at;

    td_buf_init(&conn->in->bytes, early.max);
    td_conn_drop_inbox(conn);
    if (early.len > at)
        td_ws_take(worker, conn, early.ptr + at, early.len - at);
    td_buf_done(&early);
}

void td_http_serve_again(struct td_worker *worker, struct td_conn *conn, struct td_slice raw,
                         struct td_slice body, const struct td_ask *answer, unsigned passes)
{
    struct td_http_request head;

    TD_ASSERT(td_http_parse_request(raw, &head) == (int)raw.len);
    struct td_request request = {
        worker,          conn, &head, body, td_reply_to(&head), .raw = raw, .answer = answer,
        .passes = passes};
    conn->state = TD_CONN_HTTP;
    conn->active = worker->tick;
    if (conn->in) /* what stands behind it could not be served sooner */
        conn->in->began = worker->tick;
    worker->handler.request(&request, worker->handler.arg);
    if (conn->state == TD_CONN_WS && conn->in)
        pass_to_ws(worker, conn);
    conn->reading_paused = true; /* taken up by the flush */
    td_conn_dirty(worker, conn);
}

bool td_http_resume(struct td_worker *worker, struct td_conn *conn)
{
    bool any = false;

    while (conn->in && td_conn_takes(worker, conn)) {
        struct td_inbox *in = conn->in;
        struct td_slice rest = inbox_rest(in);
        if (rest.len == 0 || rest.len < in->need)
            break;
        in->need = 0;
        int64_t used = take_one(worker, conn, rest, true);
        if (used <= 0 || conn->in != in)
            break;
        in->at += (size_t)used;
        in->began = worker->tick;
        any = true;
        if (conn->state == TD_CONN_WS) {
            pass_to_ws(worker, conn);
            break;
        }
        if (in->at == in->bytes.len)
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
    /* An upgrade ends it: what follows are frames. */
    while (rest.len > 0 && conn->state == TD_CONN_HTTP && td_conn_takes(worker, conn) &&
           !conn->in) {
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
