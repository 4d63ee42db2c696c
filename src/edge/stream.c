/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/stream.h"
#include "base/err.h"
#include "base/log.h"
#include "codec/sse.h"
#include "edge/subscribe.h"

static void log_open(const struct td_request *request)
{
    struct td_conn *conn = request->conn;
    struct td_log_line line;

    if (!td_log_begin(&line, TD_LOG_INFO, "connect"))
        return;
    td_conn_log(&line, conn);
    td_log_str(&line, "transport", TD_S("sse"));
    td_log_str(&line, "path", request->head->path);
    td_log_str(&line, "subject", conn->principal->subject);
    td_log_end(&line);
}

void td_stream_start(struct td_request *request, const struct td_query *query)
{
    struct td_worker *worker = request->worker;
    struct td_conn *conn = request->conn;
    int r = td_subscribe_types(conn, query->types, query->n_types);

    for (size_t i = 0; r == 0 && i < query->n_topics; i++)
        r = td_subscribe(worker, conn, query->topics[i]);
    if (r < 0) {
        td_unsubscribe_all(worker, conn);
        td_respond_error(request, r,
                         r == TD_EFORBIDDEN ? TD_S("Nothing of a topic is granted to you.")
                                            : td_slice_str(td_err_hint(r)));
        return;
    }
    struct td_outbox *out = td_conn_out(worker, conn);
    if (!out)
        return;
    conn->state = TD_CONN_STREAM;
    conn->subscriber.wire = td_wire_of(TD_TRANSPORT_SSE, query->format);
    if (td_response_head(request, &out->ready, 200, "text/event-stream") < 0 ||
        td_sse_put_retry(&out->ready, 1000) < 0) {
        td_conn_drop(worker, conn, "no memory");
        return;
    }
    conn->counted_sse = true;
    TD_COUNT(worker, sse_opened);
    TD_COUNT(worker, connections_sse);
    log_open(request);
    td_conn_drop_inbox(conn); /* the request lay in it */
    td_seek(worker, conn, query->since, query->position);
    td_conn_dirty(worker, conn);
}

void td_stream_keep_alive(struct td_worker *worker, struct td_conn *conn)
{
    char text[TD_POSITION_LEN_MAX + 1];
    struct td_outbox *out = td_conn_out(worker, conn);

    if (!out)
        return;
    conn->sent = worker->tick;
    td_position_format(td_here(worker, td_hub_position(worker->hub, &conn->subscriber)), text);
    if (td_sse_put_id(&out->ready, td_slice_str(text)) < 0)
        td_conn_drop(worker, conn, "no memory");
    td_conn_dirty(worker, conn);
}
