/* SPDX-License-Identifier: Apache-2.0 */
/* /api/v1/presence: who follows a topic (docs/protocol.md). */
#include "edge/presence.h"
#include "api/api.h"
#include "base/err.h"
#include "base/json.h"

#define LIST     100
#define LIST_MAX 1000

/* The last `topic` of the query.  0 or TD_ETOPIC. */
static int read_topic(const struct td_request *request, struct td_buf *topic)
{
    struct td_slice query = request->head->query, name, value;

    while (td_http_query_next(&query, &name, &value)) {
        if (!td_slice_eq(name, TD_S("topic")))
            continue;
        td_buf_reset(topic);
        if (td_http_unescape(value, true, topic) < 0)
            return TD_ETOPIC;
    }
    return td_topic_valid(td_buf_slice(topic)) ? 0 : TD_ETOPIC;
}

static void respond(struct td_request *request, struct td_slice topic, size_t limit)
{
    struct td_buf body = TD_BUF_INIT(TD_MIB * 4);

    td_buf_puts(&body, "{\"topic\":");
    td_json_put_string(&body, topic);
    td_buf_putc(&body, ',');
    td_presence_put(request->worker->presence, topic, limit, &body);
    td_buf_puts(&body, "}\n");
    td_respond(request, &(struct td_response){.status = 200,
                                              .content_type = "application/json",
                                              .headers = TD_S("Cache-Control: no-store\r\n"),
                                              .body = td_buf_slice(&body),
                                              .err = body.err});
    td_buf_done(&body);
}

void td_api_presence(struct td_request *request, const struct td_api *api)
{
    struct td_buf topic = TD_BUF_INIT(TD_TOPIC_LEN_MAX);
    uint64_t limit = td_api_number(request, "limit", LIST, LIST_MAX);

    (void)api;
    if (!td_api_authenticate(request))
        return;
    if (read_topic(request, &topic) < 0)
        td_respond_error(request, TD_ETOPIC, TD_S("Name one `topic`, without wildcards."));
    else if (limit == 0)
        td_respond_error(request, TD_EINVAL, TD_S("`limit` must be a number from 1 to 1000."));
    else if (!td_principal_may_see(request->principal, td_buf_slice(&topic)))
        td_respond_error(request, TD_EFORBIDDEN, TD_S("You may not see this topic."));
    else if (!td_presence_keeps(request->worker->presence, td_buf_slice(&topic)))
        td_respond_error(request, TD_ENOTFOUND,
                         TD_S("No presence is kept of this topic; see presence.topics."));
    else
        respond(request, td_buf_slice(&topic), (size_t)limit);
    td_buf_done(&topic);
}
