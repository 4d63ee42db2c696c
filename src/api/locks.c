/* SPDX-License-Identifier: Apache-2.0 */
/* /api/v1/locks/{topic}: leases (docs/protocol.md).  The desk keeps them (desk/locks.h). */
#include "desk/locks.h"
#include "api/api.h"
#include "base/err.h"
#include "base/json.h"
#include "edge/admission.h"
#include "edge/ask.h"

#define PREFIX    "/api/v1/locks/"
#define TTL       30 /* seconds, when nothing is said */
#define BODY_MAX  1024
#define TOPIC_MAX (TD_TOPIC_LEN_MAX + sizeof(TD_LOCK_PREFIX))

/* Reads `{"ttl":seconds}`; nothing at all is that too. */
static int read_ttl(const struct td_request *request, uint64_t *ret_ttl_s)
{
    struct td_slice value, name, member;

    *ret_ttl_s = TTL;
    if (td_slice_trim(request->body).len == 0)
        return 0;
    if (request->body.len > BODY_MAX || td_json_check(request->body, &value, NULL) < 0 ||
        td_json_type(value) != TD_JSON_OBJECT)
        return TD_EINVAL;
    struct td_json_iter it = td_json_iter(value);
    while (td_json_next(&it, &name, &member))
        if (!td_json_string_is(name, "ttl") || td_json_u64(member, ret_ttl_s) < 0)
            return TD_EINVAL;
    return *ret_ttl_s > 0 ? 0 : TD_EINVAL;
}

static int check_ttl(struct td_request *request, uint64_t *ret_ttl_s)
{
    char what[128];
    unsigned max = request->worker->options->lock_ttl_max_s;
    int r = read_ttl(request, ret_ttl_s);

    if (r == 0 && *ret_ttl_s > max)
        r = TD_EINVAL;
    if (r < 0) {
        snprintf(what, sizeof(what),
                 "The body must be {\"ttl\":seconds}, a whole number from 1 to %u "
                 "(limits.lock_ttl).",
                 max);
        td_respond_error(request, r, td_slice_str(what));
    }
    return r;
}

/* Whether the request may be asked; answers it when not. */
static bool check(struct td_request *request, struct td_slice name)
{
    bool reads = request->head->method == TD_HTTP_GET || request->head->method == TD_HTTP_HEAD;
    int r = reads ? 0 : td_principal_check_publish(request->principal, name);
    const char *what =
        "The token does not grant publishing to this topic, so not locking it either.";

    if (reads && !td_principal_may_see(request->principal, name)) {
        r = TD_EFORBIDDEN;
        what = "You may not see this topic, so not its lock either.";
    } else if (r == 0 && !reads && request->worker->draining) {
        r = TD_EDRAINING;
        what = "The server is stopping.";
    } else if (r == 0 && !reads && !td_admission_publish(request->worker, request->conn)) {
        r = TD_ERATE;
        what = "Too many publishes on this connection; this one was not carried out.";
    }
    if (r < 0)
        td_respond_error(request, r, td_slice_str(what));
    return r == 0;
}

static void send_ask(struct td_request *request, struct td_slice topic, uint64_t ttl_s)
{
    const struct td_edge_options *options = request->worker->options;
    enum td_ask_verb verb = request->head->method == TD_HTTP_PUT      ? TD_ASK_LOCK
                            : request->head->method == TD_HTTP_DELETE ? TD_ASK_UNLOCK
                                                                      : TD_ASK_LOCKED;
    struct td_edge_ask *edge = td_edge_ask_new(request->worker, request->conn, verb, topic.len + 1);

    if (edge) {
        edge->ask.topic = td_ask_text(&edge->ask, topic);
        edge->ask.lock = (struct td_ask_lock){
            .ttl_s = ttl_s,
            .per_holder_max = options->locks_per_user,
            .locks_max = options->locks_max,
        };
    }
    td_request_ask(request, edge);
}

static void ask(struct td_request *request)
{
    struct td_buf name = TD_BUF_INIT(TOPIC_MAX), topic = TD_BUF_INIT(TOPIC_MAX);
    uint64_t ttl_s = 0;
    int r = td_api_topic(request, PREFIX, &name);

    td_buf_puts(&topic, TD_LOCK_PREFIX);
    td_buf_put(&topic, td_buf_slice(&name));
    if (r < 0 || !td_topic_valid(td_buf_slice(&topic)))
        td_respond_error(request, TD_ETOPIC,
                         TD_S("A lock is named by a topic, of at most 15 segments and 249 bytes."));
    else if (check(request, td_buf_slice(&name)) &&
             (request->head->method != TD_HTTP_PUT || check_ttl(request, &ttl_s) == 0))
        send_ask(request, td_buf_slice(&topic), ttl_s);
    td_buf_done(&name);
    td_buf_done(&topic);
}

/* Somebody else holds it: who, and for how long. */
static void respond_held(struct td_request *request)
{
    const struct td_ask *answer = request->answer;
    struct td_slice body = td_buf_slice(&answer->body), left;
    struct td_buf headers = TD_BUF_INIT(64);

    if (td_json_get(body, "expires_in", &left)) {
        td_buf_puts(&headers, "Retry-After: ");
        td_buf_put(&headers, left);
        td_buf_puts(&headers, "\r\n");
    }
    td_respond_problem(request, &(struct td_problem){
                                    .err = TD_ELOCKED,
                                    .detail = TD_S("Somebody else holds this lock."),
                                    .headers = td_buf_slice(&headers),
                                    .members = td_slice(body.ptr + 1, body.len - 3), /* { … }\n */
                                    .wait_for = answer->wait_for,
                                });
    td_buf_done(&headers);
}

void td_api_lock(struct td_request *request, const struct td_api *api)
{
    (void)api;
    if (!td_api_authenticate(request))
        return;
    if (!request->answer)
        ask(request);
    else if (request->answer->err == TD_ELOCKED)
        respond_held(request);
    else if (request->answer->err == TD_ENOTFOUND)
        td_respond_error(request, TD_ENOTFOUND, TD_S("Nobody holds this lock."));
    else
        td_respond_answer(request,
                          request->head->method == TD_HTTP_DELETE ? 204
                          : request->answer->created              ? 201
                                                                  : 200,
                          TD_S("Cache-Control: no-store\r\n"));
}
