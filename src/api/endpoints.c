/* SPDX-License-Identifier: Apache-2.0 */
/* What is served at the endpoints: all ways of reading, each as its configuration says. */
#include "api/api.h"
#include "base/err.h"
#include "edge/poll.h"
#include "edge/stream.h"
#include "edge/visit.h"
#include "edge/ws.h"

/* A page, a page that waits, or a stream. */
static void serve_http(struct td_request *request, struct td_query *query, struct td_visit *visit)
{
    const char *what;
    int r = td_visit_admit(request, visit, &what);

    if (r > 0)
        return; /* it is served again */
    if (r == 0 && request->worker->draining) {
        r = TD_EDRAINING;
        what = "The server is stopping.";
    }
    if (r == 0 && request->head->method == TD_HTTP_GET && td_api_wants_stream(request->head)) {
        td_stream_start(request, query, visit);
        return;
    }
    if (r == 0)
        r = td_visit_open(request, visit, query, false, &what);
    if (r == 0)
        td_page_start(request, query);
    else
        td_respond_error(request, r, td_slice_str(what));
}

static void serve(struct td_request *request, struct td_query *query, struct td_visit *visit)
{
    unsigned transports = visit->endpoint->transports;

    if (request->head->upgrade && transports & TD_ENDPOINT_WEBSOCKET)
        td_ws_upgrade(request, query, visit);
    else if (request->head->upgrade)
        td_respond_error(request, TD_EINVAL, TD_S("There is no WebSocket at this endpoint."));
    else if (transports & TD_ENDPOINT_HTTP)
        serve_http(request, query, visit);
    else
        td_respond_error_with(request, TD_EUPGRADE, TD_S("This is a WebSocket endpoint."),
                              TD_S("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"));
}

void td_api_endpoint(struct td_request *request, const struct td_api *api)
{
    struct td_query query;
    struct td_visit visit;
    struct td_buf why = TD_BUF_INIT(256);

    (void)api;
    if (!td_api_read_query(request, &query)) {
        td_query_done(&query);
        return;
    }
    int r = td_visit_read(&visit, request, &why);
    if (r == 0)
        serve(request, &query, &visit);
    else
        td_respond_error(request, r, td_buf_slice(&why));
    td_visit_done(&visit);
    td_query_done(&query);
    td_buf_done(&why);
}
