/* SPDX-License-Identifier: Apache-2.0 */
/* /api/v1/entities/{type}/{id}: keyed documents (docs/protocol.md). */
#include "api/api.h"
#include "base/err.h"
#include "edge/ask.h"

/* Appends the path behind /api/v1/ as a topic.  0, or TD_ETOPIC when it is none. */
static int topic_of_path(const struct td_http_request *head, struct td_buf *topic)
{
    struct td_slice path = td_slice_from(head->path, strlen("/api/v1/"));

    if (td_http_unescape(path, false, topic) < 0 || !td_topic_valid(td_buf_slice(topic)))
        return TD_ETOPIC;
    return 0;
}

static void ask(struct td_request *request)
{
    struct td_buf topic = TD_BUF_INIT(TD_TOPIC_LEN_MAX);
    struct td_edge_ask *ask;

    if (topic_of_path(request->head, &topic) < 0) {
        td_respond_error(
            request, TD_ETOPIC,
            TD_S("The type and the id of an entity must each be a segment of a topic."));
    } else if (!td_principal_may_see(request->principal, td_buf_slice(&topic))) {
        td_respond_error(request, TD_EFORBIDDEN, TD_S("You may not see this entity."));
    } else {
        ask = td_edge_ask_new(request->worker, request->conn, TD_ASK_READ, topic.len + 16);
        if (ask) {
            ask->ask.topic = td_ask_text(&ask->ask, td_buf_slice(&topic));
            ask->ask.key = td_ask_text(&ask->ask, TD_S("entity"));
        }
        td_request_ask(request, ask);
    }
    td_buf_done(&topic);
}

void td_api_entity(struct td_request *request, const struct td_api *api)
{
    (void)api;
    if (!td_api_authenticate(request))
        return;
    if (!request->answer)
        ask(request);
    else if (request->answer->err == TD_ENOTFOUND)
        td_respond_error(request, TD_ENOTFOUND, TD_S("There is no such entity."));
    else
        td_respond_answer(request, 200, (struct td_slice){NULL, 0});
}
