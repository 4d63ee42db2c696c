/* SPDX-License-Identifier: Apache-2.0 */
/* /api/v1/admin/…: what operators look at and do.  For the role admin only. */
#include "api/api.h"
#include "audit/audit.h"
#include "base/err.h"
#include "base/json.h"
#include "edge/control.h"
#include "edge/endpoint.h"
#include "edge/gather.h"
#include "edge/ws.h"
#include "os/clock.h"

#define LIST_LIMIT     100
#define LIST_LIMIT_MAX 1000

bool td_api_admin(struct td_request *request)
{
    if (!td_api_authenticate(request))
        return false;
    if (request->principal->is_admin)
        return true;
    td_respond_error(request, TD_EFORBIDDEN, TD_S("This needs the role admin."));
    return false;
}

/* A parameter of the query, unescaped; false when it is not there. */
static bool query_get(const struct td_request *request, const char *name, struct td_buf *value)
{
    struct td_slice rest = request->head->query, at, raw;

    while (td_http_query_next(&rest, &at, &raw))
        if (td_slice_eq(at, td_slice_str(name)))
            return td_http_unescape(raw, true, value) == 0;
    return false;
}

/* The parameter `limit`; 0 after an answer that it is none. */
static size_t read_limit(struct td_request *request)
{
    struct td_buf text = TD_BUF_INIT(32);
    uint64_t limit = LIST_LIMIT;
    bool bad =
        query_get(request, "limit", &text) &&
        (td_slice_u64(td_buf_slice(&text), &limit) < 0 || limit == 0 || limit > LIST_LIMIT_MAX);

    td_buf_done(&text);
    if (!bad)
        return (size_t)limit;
    td_respond_error(request, TD_EINVAL, TD_S("`limit` must be a number from 1 to 1000."));
    return 0;
}

static void answer(struct td_request *request, struct td_buf *body)
{
    td_buf_putc(body, '\n');
    td_respond(request, &(struct td_response){
                            .status = 200,
                            .content_type = "application/json",
                            .body = td_buf_slice(body),
                            .err = body->err,
                        });
    td_buf_done(body);
}

static void put_text(struct td_buf *out, const char *name, struct td_slice text)
{
    td_buf_putf(out, ",\"%s\":", name);
    td_json_put_string(out, text);
}

static void put_number(struct td_buf *out, const char *name, uint64_t number)
{
    td_buf_putf(out, ",\"%s\":%llu", name, (unsigned long long)number);
}

/* ---- connections ---- */

static bool is_reader(const struct td_conn *conn)
{
    return conn->principal && (conn->state == TD_CONN_WS || conn->state == TD_CONN_STREAM ||
                               conn->state == TD_CONN_POLL);
}

static void put_connection(struct td_worker *worker, struct td_conn *conn, struct td_buf *out)
{
    static const char *const transports[] = {
        [TD_CONN_WS] = "websocket", [TD_CONN_STREAM] = "sse", [TD_CONN_POLL] = "longpoll"};
    uint64_t readable = td_journal_readable(worker->journal),
             at = td_hub_position(worker->hub, &conn->subscriber);
    uint64_t seconds = (worker->tick - conn->opened) / TD_TICKS_PER_S;
    char id[17], peer[TD_ADDR_LEN_MAX + 1], since[TD_TIME_LEN + 1];

    td_conn_id(conn, id);
    td_addr_format(&conn->peer, peer);
    td_time_format(td_clock_unix_ms() - seconds * 1000, since);
    td_buf_putf(out, "%s{\"id\":\"%s\",\"user\":", out->len > 0 ? "," : "", id);
    td_buf_put(out, conn->principal->subject_json);
    put_text(out, "address", td_slice_str(peer));
    put_text(out, "transport", td_slice_str(transports[conn->state]));
    if (conn->endpoint)
        put_text(out, "endpoint", conn->endpoint->path);
    put_text(out, "since", td_slice_str(since));
    put_number(out, "worker", worker->number);
    put_number(out, "subscriptions", td_hub_count_named(&conn->subscriber));
    put_number(out, "behind", readable > at ? readable - at : 0);
    put_number(out, "unsent_bytes", td_outbox_unsent(conn->out));
    put_number(out, "sent_bytes", conn->sent_bytes);
    put_number(out, "received_bytes", conn->received_bytes);
    td_buf_putc(out, '}');
}

/* Calls `each` for the readers of a worker, of a subject or (empty) of all. */
static void each_reader(struct td_worker *worker, struct td_slice subject,
                        bool (*each)(struct td_worker *worker, struct td_conn *conn, void *arg),
                        void *arg)
{
    for (uint32_t i = 0; i < worker->n_chunks * TD_SLAB_CHUNK; i++) {
        struct td_conn *conn = td_worker_conn(worker, i);
        if (conn && is_reader(conn) &&
            (subject.len == 0 || td_slice_eq(conn->principal->subject, subject)) &&
            !each(worker, conn, arg))
            return;
    }
}

/* The list is cut at its limit, over all workers. */
static bool list_one(struct td_worker *worker, struct td_conn *conn, void *arg)
{
    struct td_ask *ask = arg;

    if (ask->limit == 0)
        return false;
    ask->limit--;
    put_connection(worker, conn, &ask->body);
    return true;
}

static void list_connections(struct td_worker *worker, struct td_ask *ask)
{
    each_reader(worker, ask->key, list_one, ask);
}

static uint64_t count_readers(const struct td_api *api)
{
    uint64_t n = 0;

    for (size_t i = 0; i < api->n_workers; i++) {
        const struct td_edge_stat *stat = &api->workers[i]->stat;
        n += atomic_load_explicit(&stat->connections_ws, memory_order_relaxed) +
             atomic_load_explicit(&stat->connections_sse, memory_order_relaxed) +
             atomic_load_explicit(&stat->connections_poll, memory_order_relaxed);
    }
    return n;
}

void td_api_connections(struct td_request *request, const struct td_api *api)
{
    if (!td_api_admin(request))
        return;
    size_t limit = read_limit(request);
    if (limit == 0)
        return;
    if (!request->answer) {
        struct td_buf user = TD_BUF_INIT(TD_TOKEN_SUB_MAX);
        (void)query_get(request, "user", &user);
        struct td_edge_ask *ask =
            td_edge_ask_new(request->worker, request->conn, TD_ASK_PARTS, user.len + 1);
        if (ask) {
            ask->ask.key = td_ask_text(&ask->ask, td_buf_slice(&user));
            ask->ask.limit = limit;
        }
        td_buf_done(&user);
        td_request_gather(request, api->workers, api->n_workers, ask, list_connections);
        return;
    }
    struct td_buf body = TD_BUF_INIT(TD_ASK_BODY_MAX + 256);
    td_buf_puts(&body, "{\"connections\":[");
    td_buf_put(&body, td_buf_slice(&request->answer->body));
    td_buf_putc(&body, ']');
    put_number(&body, "count", count_readers(api));
    td_buf_putf(&body, ",\"more\":%s}", request->answer->limit == 0 ? "true" : "false");
    answer(request, &body);
}

static bool close_one(struct td_worker *worker, struct td_conn *conn, void *arg)
{
    struct td_ask *ask = arg;
    char id[17];

    td_conn_id(conn, id);
    if (!td_slice_eq(ask->topic, td_slice_str(id)))
        return true;
    td_buf_put(&ask->body, conn->principal->subject);
    td_conn_why(conn, "closed by an administrator");
    if (conn->state == TD_CONN_WS)
        td_ws_close(worker, conn, 4003, "forbidden: closed by an administrator");
    else
        td_conn_finish(worker, conn);
    return false;
}

static void close_connection(struct td_worker *worker, struct td_ask *ask)
{
    if (ask->body.len == 0)
        each_reader(worker, (struct td_slice){NULL, 0}, close_one, ask);
}

static void tell_closed(const struct td_request *request, struct td_slice id, struct td_slice user)
{
    struct td_audit_note note;

    td_audit_begin(&note, request->worker->audit, TD_AUDIT_CONN_ENDED, TD_AUDIT_DONE);
    td_audit_actor(&note, request->principal->subject);
    td_audit_str(&note, "connection", id);
    td_audit_str(&note, "user", user);
    td_audit_end(&note);
}

/* DELETE /api/v1/admin/connections/{id} */
void td_api_connection(struct td_request *request, const struct td_api *api)
{
    struct td_slice id = td_slice_from(request->head->path, strlen("/api/v1/admin/connections/"));

    if (!td_api_admin(request))
        return;
    if (!request->answer) {
        struct td_edge_ask *ask =
            td_edge_ask_new(request->worker, request->conn, TD_ASK_PARTS, id.len + 1);
        if (ask)
            ask->ask.topic = td_ask_text(&ask->ask, id);
        td_request_gather(request, api->workers, api->n_workers, ask, close_connection);
    } else if (request->answer->body.len == 0) {
        td_respond_error(request, TD_ENOTFOUND, TD_S("There is no such connection (any more)."));
    } else {
        tell_closed(request, id, td_buf_slice(&request->answer->body));
        td_respond(request, &(struct td_response){.status = 204});
    }
}

/* ---- the journal ---- */

static void put_group(struct td_journal *journal, size_t i, struct td_buf *out)
{
    struct td_group_stat group;

    td_journal_group_stat(journal, i, &group);
    td_buf_putf(out, "%s{\"name\":", i > 0 ? "," : "");
    td_json_put_string(out, group.name);
    put_number(out, "bytes", group.bytes);
    put_number(out, "horizon", group.horizon);
    td_buf_putc(out, '}');
}

void td_api_journal(struct td_request *request, const struct td_api *api)
{
    struct td_buf body = TD_BUF_INIT(64 * 1024);
    struct td_journal_stat stat;
    char position[TD_POSITION_LEN_MAX + 1];

    if (!td_api_admin(request))
        return;
    td_journal_stat(api->journal, &stat);
    td_position_format(td_here(request->worker, stat.head), position);
    td_buf_putf(&body, "{\"position\":\"%s\"", position);
    put_number(&body, "head", stat.head);
    put_number(&body, "durable", stat.durable);
    put_number(&body, "horizon", stat.horizon);
    put_number(&body, "appended", stat.appended);
    put_number(&body, "segments", stat.segments);
    put_number(&body, "bytes", stat.bytes);
    put_number(&body, "state_keys", stat.state_keys);
    put_number(&body, "state_topics", stat.state_topics);
    put_number(&body, "idempotency_keys", stat.dedup_keys);
    td_buf_putf(&body, ",\"writable\":%s,\"groups\":[",
                td_journal_health(api->journal) == 0 ? "true" : "false");
    for (size_t i = 0; i < td_journal_groups(api->journal); i++)
        put_group(api->journal, i, &body);
    td_buf_puts(&body, "]}");
    answer(request, &body);
}
