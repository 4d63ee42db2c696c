/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/job_rule.h"
#include "base/err.h"
#include "base/json.h"
#include "edge/ask.h"

static bool is_text(struct td_slice raw, struct td_slice text)
{
    struct td_buf plain = TD_BUF_INIT(td_json_type(raw) == TD_JSON_STRING ? raw.len : 0);
    bool same = td_json_type(raw) == TD_JSON_STRING && td_json_unescape(raw, &plain) == 0 &&
                td_slice_eq(td_buf_slice(&plain), text);

    td_buf_done(&plain);
    return same;
}

bool td_job_is_shown_to(struct td_slice document, struct td_slice subject)
{
    struct td_slice raw, name;

    if (td_json_get(document, "owner", &raw) && is_text(raw, subject))
        return true;
    if (!td_json_get(document, "viewers", &raw) || td_json_type(raw) != TD_JSON_ARRAY)
        return false;
    struct td_json_iter viewers = td_json_iter(raw);
    while (td_json_next(&viewers, &name, &raw))
        if (is_text(raw, subject))
            return true;
    return false;
}

static void ask(struct td_request *request, struct td_slice topic)
{
    struct td_edge_ask *ask =
        td_edge_ask_new(request->worker, request->conn, TD_ASK_READ, topic.len + 16);

    if (ask) {
        ask->ask.topic = td_ask_text(&ask->ask, topic);
        ask->ask.key = td_ask_text(&ask->ask, TD_S("job"));
    }
    td_request_ask(request, ask);
}

int td_job_rule(struct td_request *request, struct td_visit *visit, const char **what)
{
    struct td_slice id = td_endpoint_value(visit->endpoint, &visit->values, TD_S("job_id"));
    char topic[5 + TD_SEGMENT_LEN_MAX + 1];
    int len = snprintf(topic, sizeof(topic), "jobs/%.*s", (int)id.len, id.ptr);

    *what = "there is no such job, or it is not yours";
    if (td_principal_may_see(request->principal, td_slice(topic, (size_t)len)))
        return 0;
    if (!request->answer) {
        ask(request, td_slice(topic, (size_t)len));
        return 1;
    }
    if (request->answer->err < 0 && request->answer->err != TD_ENOTFOUND) {
        *what = "the job could not be looked up";
        return request->answer->err;
    }
    visit->opened =
        request->answer->err == 0 &&
        td_job_is_shown_to(td_buf_slice(&request->answer->body), request->principal->subject);
    return visit->opened ? 0 : TD_ENOTFOUND;
}
