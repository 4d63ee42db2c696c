/* SPDX-License-Identifier: Apache-2.0 */
/* Answers. */
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "edge/conn_log.h"
#include "edge/http.h"
#include "os/clock.h"

static const char *date(struct td_worker *worker)
{
    time_t now = (time_t)(td_clock_unix_ms() / 1000);
    struct tm tm;

    if (worker->date_s != (uint64_t)now || worker->date[0] == '\0') {
        gmtime_r(&now, &tm);
        strftime(worker->date, sizeof(worker->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        worker->date_s = (uint64_t)now;
    }
    return worker->date;
}

static void put_position(struct td_worker *worker, struct td_buf *out, uint64_t seq)
{
    char text[TD_POSITION_LEN_MAX + 1];

    td_position_format(td_here(worker, seq), text);
    td_buf_puts(out, "Tidings-Position: ");
    td_buf_puts(out, text);
    td_buf_puts(out, "\r\n");
}

static void put_status(struct td_worker *worker, struct td_buf *out, int status)
{
    td_buf_puts(out, "HTTP/1.1 ");
    td_buf_putu(out, (uint64_t)status);
    td_buf_putc(out, ' ');
    td_buf_puts(out, td_http_reason(status));
    td_buf_puts(out, "\r\nDate: ");
    td_buf_puts(out, date(worker));
    td_buf_puts(out, "\r\n");
}

/* Cross-origin readers (the Fetch standard, CORS protocol): only those on the list learn anything. */
static void put_cors(struct td_buf *out, const struct td_request *request)
{
    struct td_slice origin = request->reply.origin;

    if (!origin.ptr)
        return;
    td_buf_puts(out, "Vary: Origin\r\n");
    if (!td_request_origin_ok(request, false))
        return;
    td_buf_puts(out, "Access-Control-Allow-Origin: ");
    td_buf_put(out, origin);
    td_buf_puts(out, "\r\nAccess-Control-Allow-Credentials: true\r\n"
                     "Access-Control-Expose-Headers: Tidings-Position, ETag, Retry-After\r\n");
}

/* The Origin; one that stands twice is none that could be allowed. */
static struct td_slice origin_of(const struct td_http_request *head)
{
    struct td_slice origin = {NULL, 0};

    for (size_t i = 0; i < head->n_headers; i++) {
        if (!td_slice_eq_nocase(head->headers[i].name, TD_S("origin")))
            continue;
        if (origin.ptr)
            return TD_S("");
        origin = head->headers[i].value;
    }
    return origin;
}

struct td_reply td_reply_to(const struct td_http_request *head)
{
    return (struct td_reply){
        /* RFC 9931: what follows an upgrade that was not granted may be meant as frames. */
        .keep_alive = head->keep_alive && !head->upgrade,
        .http10 = head->http10,
        .head_only = head->method == TD_HTTP_HEAD,
        .origin = origin_of(head),
    };
}

static void build_head(struct td_request *request, const struct td_response *response,
                       struct td_buf *out)
{
    uint64_t position =
        response->has_position ? response->position : td_journal_readable(request->worker->journal);

    put_status(request->worker, out, response->status);
    if (request->principal) /* who is nobody learns nothing of the log */
        put_position(request->worker, out, position);
    if (response->content_type) {
        td_buf_puts(out, "Content-Type: ");
        td_buf_puts(out, response->content_type);
        td_buf_puts(out, "\r\n");
    }
    put_cors(out, request);
    td_buf_put(out, response->headers);
    if (response->status != 204 && response->status != 304) {
        td_buf_puts(out, "Content-Length: ");
        td_buf_putu(out, response->body.len);
        td_buf_puts(out, "\r\n");
    }
    if (!request->reply.keep_alive)
        td_buf_puts(out, "Connection: close\r\n");
    else if (request->reply.http10)
        td_buf_puts(out, "Connection: keep-alive\r\n");
    td_buf_puts(out, "\r\n");
}

static void build(struct td_request *request, const struct td_response *response,
                  struct td_buf *out)
{
    build_head(request, response, out);
    if (!request->reply.head_only)
        td_buf_put(out, response->body);
}

/* Appends an answer that waits for the disk to the held ones. */
static int hold(struct td_request *request, const struct td_response *response,
                struct td_outbox *out)
{
    struct td_buf answer = TD_BUF_INIT(response->body.len + response->headers.len + 2048);

    build(request, response, &answer);
    int r = answer.err < 0 ? answer.err
                           : td_outbox_hold(out, response->wait_for, td_buf_slice(&answer));
    td_buf_done(&answer);
    if (r < 0)
        return r;
    if (td_list_empty(&out->waiting))
        td_list_append(&request->worker->waiting, &out->waiting);
    return 0;
}

void td_respond(struct td_request *request, const struct td_response *response)
{
    struct td_worker *worker = request->worker;
    struct td_conn *conn = request->conn;
    struct td_outbox *out = td_conn_out(worker, conn);
    int r = response->err;

    if (!out)
        return;
    if (response->status >= 400)
        TD_COUNT(worker, http_errors);
    /* Behind held answers even what needs no disk is held: answers go in order. */
    bool wait = response->wait_for > td_journal_readable(worker->journal) || out->n > 0;
    if (r < 0) {
        /* dropped below */
    } else if (wait) {
        r = hold(request, response, out);
    } else if (response->lasting && !request->reply.head_only) {
        build_head(request, response, &out->ready);
        r = out->ready.err;
        out->lent = response->body;
    } else {
        build(request, response, &out->ready);
        r = out->ready.err;
    }
    if (r < 0) {
        td_conn_drop(worker, conn, "no memory for the answer");
        return;
    }
    if (!request->reply.keep_alive) {
        conn->last_request = true;
        if (out->n == 0)
            td_conn_finish(worker, conn);
    }
    td_conn_dirty(worker, conn);
}

static void put_problem(struct td_buf *out, const struct td_problem *problem)
{
    int err = problem->err;

    td_buf_puts(out, "{\"type\":\"about:blank\",\"title\":");
    td_json_put_string(out, td_slice_str(td_http_reason(td_err_http(err))));
    td_buf_putf(out, ",\"status\":%d,\"code\":\"%s\",\"detail\":", td_err_http(err),
                td_err_code(err));
    td_json_put_string(out, problem->detail);
    td_buf_puts(out, ",\"what_to_do\":");
    td_json_put_string(out, td_slice_str(td_err_hint(err)));
    if (problem->members.len > 0)
        td_buf_putc(out, ',');
    td_buf_put(out, problem->members);
    td_buf_puts(out, "}\n");
}

/* After these the rest of the connection can't be understood, or is not wanted. */
static bool ends_connection(int err)
{
    switch (err) {
    case TD_ETOOLARGE:
    case TD_EHEADERSIZE:
    case TD_EURISIZE:
    case TD_EVERSION:
    case TD_ETIMEOUT:
    case TD_EMANY:
    case TD_EDRAINING: return true;
    default: return false;
    }
}

void td_respond_problem(struct td_request *request, const struct td_problem *problem)
{
    struct td_buf body = TD_BUF_INIT(4096 + problem->members.len), lines = TD_BUF_INIT(1024);
    struct td_request closing = *request;
    int err = problem->err;

    td_request_log_error(request, err, problem->detail);
    put_problem(&body, problem);
    td_buf_put(&lines, problem->headers);
    if (err == TD_EUNAUTHORIZED || err == TD_EEXPIRED)
        td_buf_puts(&lines, "WWW-Authenticate: Bearer realm=\"tidings\"\r\n");
    if (err == TD_ERATE || err == TD_EMANY || err == TD_EDRAINING || err == TD_EFULL ||
        err == TD_EUNAVAILABLE)
        td_buf_puts(&lines, "Retry-After: 1\r\n");
    if (ends_connection(err))
        closing.reply.keep_alive = false;
    td_respond(&closing, &(struct td_response){
                             .status = td_err_http(err),
                             .content_type = "application/problem+json",
                             .headers = td_buf_slice(&lines),
                             .body = td_buf_slice(&body),
                             .err = body.err < 0 ? body.err : lines.err,
                             .wait_for = problem->wait_for,
                         });
    td_buf_done(&body);
    td_buf_done(&lines);
}

void td_respond_error_with(struct td_request *request, int err, struct td_slice detail,
                           struct td_slice headers)
{
    td_respond_problem(request, &(struct td_problem){err, detail, headers});
}

void td_respond_error(struct td_request *request, int err, struct td_slice detail)
{
    td_respond_error_with(request, err, detail, (struct td_slice){NULL, 0});
}

void td_conn_refuse(struct td_worker *worker, struct td_conn *conn, int err, const char *detail)
{
    td_respond_error(&(struct td_request){.worker = worker, .conn = conn}, err,
                     td_slice_str(detail));
}

int td_response_head(struct td_request *request, struct td_buf *out, int status,
                     const char *content_type)
{
    put_status(request->worker, out, status);
    put_position(request->worker, out, td_journal_readable(request->worker->journal));
    put_cors(out, request);
    td_buf_puts(out, "Content-Type: ");
    td_buf_puts(out, content_type);
    td_buf_puts(out, "\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
                     "Connection: close\r\n\r\n");
    return out->err;
}
