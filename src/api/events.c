/* SPDX-License-Identifier: Apache-2.0 */
/* /api/v1/events: one resource, four ways (docs/protocol.md). */
#include "api/api.h"
#include "base/err.h"
#include "edge/admission.h"
#include "edge/authorize.h"
#include "edge/poll.h"
#include "edge/publish_ask.h"
#include "edge/stream.h"
#include "edge/ws.h"

/* 201: what was stored, once it is durable. */
static void answer_published(struct td_request *request, const struct td_publish *publish)
{
    struct td_buf body = TD_BUF_INIT(128 + publish->n * (TD_POSITION_LEN_MAX + 3));

    td_buf_putc(&body, '{');
    td_publish_put_answer(publish, request->worker, &body);
    td_buf_puts(&body, "}\n");
    td_respond(request, &(struct td_response){
                            .status = 201,
                            .content_type = "application/json",
                            .body = td_buf_slice(&body),
                            .err = body.err,
                            .position = publish->last,
                            .has_position = publish->last > 0,
                            .wait_for = publish->last,
                        });
    td_buf_done(&body);
}

/* application/json, application/x-ndjson, or nothing, which is taken for JSON.  0, 1 for NDJSON, or TD_EMEDIATYPE. */
static int read_media_type(const struct td_http_request *head)
{
    struct td_slice rest = td_http_header(head, "content-type"), type = {NULL, 0};

    if (!rest.ptr)
        return 0;
    (void)td_slice_split(&rest, ';', &type);
    type = td_slice_trim(type);
    if (td_slice_eq_nocase(type, TD_S("application/x-ndjson")))
        return 1;
    /* curl -d says it is a form; what is not JSON is refused by the scanner. */
    if (td_slice_eq_nocase(type, TD_S("application/json")) ||
        td_slice_eq_nocase(type, TD_S("application/x-www-form-urlencoded")) ||
        td_slice_eq_nocase(type, TD_S("text/plain")))
        return 0;
    return TD_EMEDIATYPE;
}

/* The desk has appended it, or not. */
static void answer_asked(struct td_request *request)
{
    if (request->answer->err < 0)
        td_respond_error(request, request->answer->err, td_ask_why(request->answer));
    else
        answer_published(request, td_publish_answered(request->worker, request->answer));
}

static void ask_desk(struct td_request *request, bool ndjson,
                     const struct td_publish_options *options)
{
    struct td_edge_ask *ask =
        td_publish_ask(request->worker, request->conn, request->body, ndjson, options);

    request->body = td_slice(request->body.ptr, 0); /* the ask has it */
    td_request_ask(request, ask);
}

static void publish(struct td_request *request)
{
    struct td_worker *worker = request->worker;
    struct td_publish parsed;
    struct td_buf why = TD_BUF_INIT(1024);
    int ndjson = read_media_type(request->head);

    if (worker->draining || ndjson < 0) {
        int err = worker->draining ? TD_EDRAINING : ndjson;
        td_respond_error(request, err, td_slice_str(td_err_hint(err)));
        return;
    }
    if (!td_admission_publish(worker, request->conn)) {
        td_respond_error(
            request, TD_ERATE,
            TD_S("Too many publishes on this connection; this one was not carried out."));
        return;
    }
    const struct td_publish_options options = {
        .principal = request->principal,
        .idempotency_key = td_http_header(request->head, "idempotency-key"),
    };
    int r = td_publish_run(&parsed, worker, request->body, ndjson == 1, &options, &why);
    if (r < 0)
        td_respond_error(request, r, td_buf_slice(&why));
    else if (r == TD_PUBLISH_ASK)
        ask_desk(request, ndjson == 1, &options);
    else
        answer_published(request, &parsed);
    td_publish_done(&parsed);
    td_buf_done(&why);
}

bool td_api_wants_stream(const struct td_http_request *head)
{
    for (size_t i = 0; i < head->n_headers; i++) {
        if (!td_slice_eq_nocase(head->headers[i].name, TD_S("accept")))
            continue;
        struct td_slice rest = head->headers[i].value, item, type;
        while (td_slice_split(&rest, ',', &item)) {
            if (td_slice_split(&item, ';', &type) &&
                td_slice_eq_nocase(td_slice_trim(type), TD_S("text/event-stream")))
                return true;
        }
    }
    return false;
}

bool td_api_read_query(struct td_request *request, struct td_query *query)
{
    struct td_buf why = TD_BUF_INIT(256);
    int r = td_query_read(query, request->head, &why);

    query->permits = td_authorized(request);
    if (r < 0)
        td_respond_error(request, r, td_buf_slice(&why));
    td_buf_done(&why);
    return r == 0;
}

/* What is not granted is asked for; whether there is nothing (more) to wait for. */
static bool authorize(struct td_request *request, const struct td_query *query)
{
    const char *what;
    int r = td_authorize_query(request, query, &what);

    if (r < 0)
        td_respond_error(request, r, td_slice_str(what));
    return r == 0;
}

static void read_events(struct td_request *request)
{
    struct td_query query;

    if (!td_api_read_query(request, &query)) {
        td_query_done(&query);
        return;
    }
    if (request->head->upgrade) {
        /* It authenticates itself: a browser learns 4001 only from an accepted connection. */
        td_ws_upgrade(request, &query, NULL);
    } else if (!td_api_authenticate(request)) {
        /* answered */
    } else if (query.n_topics == 0) {
        td_respond_error(request, TD_ETOPIC, TD_S("Name at least one `topic`."));
    } else if (request->worker->draining) {
        td_respond_error(request, TD_EDRAINING, TD_S("The server is stopping."));
    } else if (!authorize(request, &query)) {
        /* answered, or served again */
    } else if (request->head->method == TD_HTTP_GET && td_api_wants_stream(request->head)) {
        td_stream_start(request, &query, NULL);
    } else {
        td_page_start(request, &query);
    }
    td_query_done(&query);
}

void td_api_events(struct td_request *request, const struct td_api *api)
{
    (void)api;
    if (request->head->method == TD_HTTP_POST) {
        if (td_api_authenticate(request)) {
            if (request->answer)
                answer_asked(request);
            else
                publish(request);
        }
        return;
    }
    read_events(request);
}
