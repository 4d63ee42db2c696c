/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/authorize.h"
#include "base/err.h"
#include "edge/ask.h"
#include "edge/opened.h"
#include "edge/recheck.h"
#include <errno.h>

/* When no answer came to a renewal it is tried again after this. */
#define AGAIN_NS TD_NS_PER_S

/* ---- whom to ask for what ---- */

/* Whether nothing of a pattern can be seen but by asking. */
static bool is_to_be_asked(const struct td_worker *worker, const struct td_conn *conn,
                           struct td_slice pattern)
{
    const struct td_principal *principal = conn->principal;
    struct td_slice patterns[TD_GRANTS_MAX], id;
    bool check;

    if (!principal || principal->is_public || td_opened_find(conn, pattern))
        return false;
    if (!td_permit_of_job(pattern, &id) &&
        (worker->options->authorizer == 0 || td_topic_private(pattern)))
        return false;
    for (size_t i = 0; i < principal->taken.n; i++)
        if (td_pattern_covers(principal->taken.items[i], pattern))
            return false;
    struct td_buf text = TD_BUF_INIT(TD_INTERSECT_TEXT_MAX);
    int n = td_principal_intersect(principal, pattern, &text, patterns, &check);
    td_buf_done(&text);
    return n == 0;
}

static bool stands_before(const struct td_slice *items, size_t n, struct td_slice item)
{
    for (size_t i = 0; i < n; i++)
        if (td_slice_eq(items[i], item))
            return true;
    return false;
}

/* As many as may be subscribed besides what is. */
static size_t choose(struct td_worker *worker, const struct td_conn *conn, struct td_slices topics,
                     struct td_slice ret_patterns[TD_SUBSCRIPTIONS_MAX])
{
    size_t named = td_hub_count_named(&conn->subscriber), n = 0;
    size_t max = td_conn_limits(worker, conn)->subscriptions_max;
    size_t room = TD_MIN(max > named ? max - named : 0, (size_t)TD_SUBSCRIPTIONS_MAX);

    for (size_t i = 0; i < topics.n && n < room; i++)
        if (!stands_before(ret_patterns, n, topics.items[i]) &&
            is_to_be_asked(worker, conn, topics.items[i]))
            ret_patterns[n++] = topics.items[i];
    return n;
}

/* NULL when memory is out. */
static struct td_edge_ask *ask_for(struct td_worker *worker, struct td_conn *conn,
                                   struct td_slices patterns, struct td_slice endpoint,
                                   struct td_slice command)
{
    size_t bytes = endpoint.len + command.len + 2;

    for (size_t i = 0; i < patterns.n; i++)
        bytes += patterns.items[i].len + 1;
    struct td_edge_ask *ask = td_edge_ask_new(worker, conn, TD_ASK_PERMITS, bytes);
    struct td_permits *permits = ask ? td_permits_new(patterns.n) : NULL;
    if (!permits) {
        td_edge_ask_free(ask);
        return NULL;
    }
    ask->ask.permits = permits;
    permits->endpoint = td_ask_text(&ask->ask, endpoint);
    ask->ask.document = td_ask_text(&ask->ask, command);
    td_addr_format(&conn->peer, permits->address);
    for (size_t i = 0; i < patterns.n; i++)
        permits->items[i].pattern = td_ask_text(&ask->ask, patterns.items[i]);
    return ask;
}

/* ---- requests ---- */

struct td_permits *td_authorized(const struct td_request *request)
{
    return request->answer && request->answer->verb == TD_ASK_PERMITS ? request->answer->permits
                                                                      : NULL;
}

bool td_authorized_any(const struct td_request *request)
{
    const struct td_permits *permits = td_authorized(request);

    for (size_t i = 0; permits && i < permits->n; i++)
        if (permits->items[i].err == 0)
            return true;
    return false;
}

int td_authorize_request(struct td_request *request, struct td_slices topics,
                         struct td_slice endpoint, const char **what)
{
    const struct td_permits *permits = td_authorized(request);
    struct td_slice patterns[TD_SUBSCRIPTIONS_MAX];

    *what = "the authorizer gives no answer; try again";
    for (size_t i = 0; permits && i < permits->n; i++)
        if (permits->items[i].err < 0 && permits->items[i].err != TD_EFORBIDDEN)
            return TD_EUNAVAILABLE;
    if (permits)
        return 0;
    size_t n = choose(request->worker, request->conn, topics, patterns);
    if (n == 0)
        return 0;
    td_request_ask(request, ask_for(request->worker, request->conn, (struct td_slices){patterns, n},
                                    endpoint, TD_S("")));
    return 1;
}

int td_authorize_query(struct td_request *request, const struct td_query *query, const char **what)
{
    return td_authorize_request(request, (struct td_slices){query->topics, query->n_topics},
                                TD_S(""), what);
}

/* ---- commands ---- */

int td_authorize_command(struct td_worker *worker, struct td_conn *conn, struct td_slices topics,
                         struct td_slice command,
                         void (*answered)(struct td_worker *worker, struct td_conn *conn,
                                          struct td_edge_ask *ask))
{
    struct td_slice patterns[TD_SUBSCRIPTIONS_MAX];
    size_t n = choose(worker, conn, topics, patterns);

    if (n == 0)
        return 0;
    struct td_edge_ask *ask = ask_for(worker, conn, (struct td_slices){patterns, n},
                                      conn->endpoint ? conn->endpoint->name : TD_S(""), command);
    int r = td_conn_ask(worker, conn, ask, TD_S(""), answered);
    return r < 0 ? r : 1;
}

/* ---- what is permitted ---- */

static int take_one(struct td_worker *worker, struct td_conn *conn, const struct td_permit *permit)
{
    struct td_slice id;
    const struct td_opened times = {
        .version =
            td_permit_of_job(permit->pattern, &id) ? TD_OPENED_BY_JOB : worker->options->authorizer,
        .renew_at = permit->renew_at,
        .expires_at = permit->expires_at,
    };

    if (times.version == 0) /* the authorizer was taken away meanwhile */
        return 0;
    return td_open(conn, &times, permit->pattern);
}

int td_authorized_take(struct td_worker *worker, struct td_conn *conn,
                       const struct td_permits *permits)
{
    int r = 0;

    for (size_t i = 0; permits && r == 0 && i < permits->n; i++)
        if (permits->items[i].err == 0)
            r = take_one(worker, conn, &permits->items[i]);
    return r;
}

static bool is_for_good(const struct td_opened *opened)
{
    return opened->version == 0 || opened->version == TD_OPENED_BY_JOB;
}

static bool is_over(const struct td_worker *worker, const struct td_opened *opened)
{
    const struct td_edge_options *options = worker->options;

    return options->authorizer == 0 ||
           worker->now > opened->expires_at + options->authorizer_grace_ms * TD_NS_PER_MS;
}

/* Ends what is over, and tells why. */
static void end(struct td_worker *worker, struct td_conn *conn)
{
    const char *reason = worker->options->authorizer == 0 ? "there is no authorizer any more"
                                                          : "the authorizer gives no answer";
    struct td_opened *next;
    bool ended = false;

    for (struct td_opened *opened = conn->opens; opened; opened = next) {
        next = opened->next;
        if (is_for_good(opened) || !is_over(worker, opened))
            continue;
        td_opened_close(conn, td_opened_pattern(opened));
        ended = true;
    }
    if (ended)
        td_recheck_opened(worker, conn, reason);
}

static void renewed(struct td_worker *worker, struct td_conn *conn, struct td_edge_ask *ask)
{
    const struct td_permits *permits = ask->ask.permits;
    bool ended = false;

    for (size_t i = 0; i < permits->n; i++) {
        const struct td_permit *permit = &permits->items[i];
        struct td_opened *opened = td_opened_find(conn, permit->pattern);
        if (!opened || !opened->asked) /* it was given up, and perhaps taken again */
            continue;
        opened->asked = false;
        if (permit->err == 0) {
            opened->renew_at = permit->renew_at;
            opened->expires_at = permit->expires_at;
        } else if (permit->err == TD_EFORBIDDEN) {
            td_opened_close(conn, permit->pattern);
            ended = true;
        } else {
            opened->renew_at = worker->now + AGAIN_NS;
        }
    }
    if (ended)
        td_recheck_opened(worker, conn, "the authorizer permits it no more");
}

/* By other settings it may be another answer. */
static bool is_due(const struct td_worker *worker, struct td_opened *opened)
{
    if (is_for_good(opened) || opened->asked)
        return false;
    if (opened->version != worker->options->authorizer)
        opened->renew_at = 0;
    return opened->renew_at <= worker->now;
}

static void renew(struct td_worker *worker, struct td_conn *conn)
{
    struct td_slice patterns[TD_SUBSCRIPTIONS_MAX];
    size_t n = 0;

    for (struct td_opened *opened = conn->opens; opened && n < TD_SUBSCRIPTIONS_MAX;
         opened = opened->next)
        if (is_due(worker, opened))
            patterns[n++] = td_opened_pattern(opened);
    if (n == 0)
        return;
    struct td_edge_ask *ask = ask_for(worker, conn, (struct td_slices){patterns, n},
                                      conn->endpoint ? conn->endpoint->name : TD_S(""), TD_S(""));
    if (ask)
        ask->ask.permits->renews = true;
    if (td_conn_ask(worker, conn, ask, TD_S(""), renewed) < 0)
        return; /* at the next look */
    for (size_t i = 0; i < n; i++) {
        struct td_opened *opened = td_opened_find(conn, patterns[i]);
        opened->asked = true;
        opened->version = worker->options->authorizer;
    }
}

void td_authorize_sweep(struct td_worker *worker, struct td_conn *conn)
{
    if (!conn->opens || !conn->principal ||
        (conn->state != TD_CONN_WS && conn->state != TD_CONN_STREAM && conn->state != TD_CONN_POLL))
        return;
    end(worker, conn);
    if (worker->options->authorizer > 0 && conn->opens && !worker->draining)
        renew(worker, conn);
}

void td_authorize_anew(struct td_conn *conn)
{
    for (struct td_opened *opened = conn->opens; opened; opened = opened->next)
        opened->renew_at = 0;
}
