/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/stream.h"
#include "base/err.h"
#include "codec/sse.h"
#include "edge/admission.h"
#include "edge/conn_log.h"
#include "edge/presence.h"
#include "edge/subscribe.h"
#include "edge/visit.h"

void td_stream_start(struct td_request *request, struct td_query *query, struct td_visit *visit)
{
    struct td_worker *worker = request->worker;
    struct td_conn *conn = request->conn;

    const char *what = "no memory";
    int r = td_admission_stream(worker, conn, &what);
    if (r == 0 && visit)
        r = td_visit_open(request, visit, query, true, &what);
    if (r < 0) {
        td_conn_log_refused(worker, conn, what);
        td_respond_error(request, r, td_slice_str(what));
        return;
    }
    if (!td_request_subscribe(request, query))
        return;
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
    td_conn_log_handshake(request, "accepted");
    td_conn_log_connect(worker, conn, "sse", request->head->path);
    td_conn_drop_inbox(conn); /* the request lay in it */
    td_presence_sync(worker, conn);
    td_begin(worker, conn, query);
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
