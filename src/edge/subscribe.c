/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/subscribe.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/json.h"
#include "edge/authorize.h"
#include "edge/control.h"
#include "edge/filter.h"
#include "edge/opened.h"
#include "edge/visit.h"
#include <errno.h>

int td_subscribe(struct td_worker *worker, struct td_conn *conn, struct td_slice pattern)
{
    struct td_slice patterns[TD_GRANTS_MAX + TD_OPENED_PARTS_MAX];
    char opened[TD_OPENED_PARTS_MAX][TD_TOPIC_LEN_MAX + 1];
    struct td_buf text = TD_BUF_INIT(TD_INTERSECT_TEXT_MAX);
    bool check = false;
    bool known = td_hub_has_named(&conn->subscriber, pattern);

    if (!known &&
        td_hub_count_named(&conn->subscriber) >= td_conn_limits(worker, conn)->subscriptions_max) {
        TD_COUNT(worker, limited[TD_LIMITED_SUBSCRIPTIONS]);
        return TD_ETOOLARGE;
    }
    int n = td_principal_intersect(conn->principal, pattern, &text, patterns, &check);
    if (n >= 0)
        n = (int)td_opened_add(conn, pattern, opened, patterns, (size_t)n, &check);
    int r = n < 0 ? n : n == 0 ? TD_EFORBIDDEN : 0;
    if (r == 0 && check)
        r = td_filter_exclude(conn);
    if (r == 0)
        r = td_hub_subscribe(worker->hub, &conn->subscriber, pattern, patterns, (size_t)n);
    if (r == TD_ESHAPES)
        TD_COUNT(worker, limited[TD_LIMITED_SUBSCRIPTIONS]);
    td_buf_done(&text);
    return r;
}

void td_unsubscribe_all(struct td_worker *worker, struct td_conn *conn)
{
    td_hub_leave(worker->hub, &conn->subscriber);
    td_subscriber_init(&conn->subscriber, conn->subscriber.wire);
    td_filter_free(conn);
    td_bound_free(conn);
    td_opened_free(conn);
}

int td_subscribe_query(struct td_worker *worker, struct td_conn *conn, const struct td_query *query)
{
    int r = td_filter_types(conn, query->types, query->n_types);

    if (r == 0)
        r = td_authorized_take(worker, conn, query->permits);
    conn->subscriber.stateless = query->state == TD_STATE_NEVER;
    if (td_conn_limits(worker, conn)->sends_per_s > 0)
        conn->subscriber.pace_ms = (uint16_t)(1000 / td_conn_limits(worker, conn)->sends_per_s);
    for (size_t i = 0; r == 0 && i < query->n_topics; i++) {
        r = td_subscribe(worker, conn, query->topics[i]);
        if (r == TD_EFORBIDDEN && query->any_topic &&
            (i + 1 < query->n_topics || td_hub_count_named(&conn->subscriber) > 0))
            r = 0;
    }
    if (r < 0)
        td_unsubscribe_all(worker, conn);
    return r;
}

bool td_request_subscribe(struct td_request *request, const struct td_query *query)
{
    int r = td_subscribe_query(request->worker, request->conn, query);

    if (r < 0)
        td_respond_error(request, r,
                         r == TD_EFORBIDDEN ? TD_S("Nothing of a topic is granted to you.")
                                            : td_slice_str(td_err_hint(r)));
    return r == 0;
}

int td_owe_caught_up(struct td_conn *conn, struct td_slice ref)
{
    struct td_owed *owed = malloc(sizeof(*owed) + ref.len), **last = &conn->owed;

    TD_ASSERT(conn->started);
    if (!owed)
        return -ENOMEM;
    *owed = (struct td_owed){NULL, (uint16_t)ref.len};
    if (ref.len > 0)
        memcpy(owed->ref, ref.ptr, ref.len);
    while (*last)
        last = &(*last)->next;
    *last = owed;
    return 0;
}

static void tell_caught_up(struct td_worker *worker, struct td_conn *conn, struct td_slice ref,
                           uint64_t position)
{
    struct td_control control;

    td_control_begin(&control, "caught_up", ref);
    td_control_resume(&control, worker, position);
    td_control_send(&control, worker, conn);
}

void td_tell_caught_up(struct td_worker *worker, struct td_conn *conn)
{
    uint64_t position = td_hub_head(worker->hub);

    td_conn_resumed(worker, conn, TD_RESUMED_WHOLE);
    if (!conn->started || !conn->owed)
        tell_caught_up(worker, conn, (struct td_slice){NULL, 0}, position);
    for (struct td_owed *owed; conn->started && (owed = conn->owed);) {
        conn->owed = owed->next;
        tell_caught_up(worker, conn, td_slice(owed->ref, owed->ref_len), position);
        free(owed);
    }
}

void td_tell_history_ended(struct td_worker *worker, struct td_conn *conn, struct td_slice ref)
{
    tell_caught_up(worker, conn, ref, td_hub_position(worker->hub, &conn->subscriber));
}

void td_start_free(struct td_conn *conn)
{
    if (!conn->started) {
        free(conn->start);
        conn->start = NULL;
        return;
    }
    for (struct td_owed *owed; (owed = conn->owed);) {
        conn->owed = owed->next;
        free(owed);
    }
}

uint64_t td_since_seq(const struct td_worker *worker, enum td_since since,
                      struct td_position position, bool *ret_other_epoch)
{
    *ret_other_epoch = false;
    if (since == TD_SINCE_NOW || since == TD_SINCE_NONE)
        return td_journal_readable(worker->journal);
    if (since == TD_SINCE_EARLIEST)
        return td_journal_horizon(worker->journal);
    if (position.epoch == td_journal_epoch(worker->journal))
        return position.seq;
    *ret_other_epoch = true;
    return td_journal_horizon(worker->journal);
}

struct td_told td_since_told(const struct td_worker *worker, const struct td_conn *conn,
                             enum td_since since, bool other_epoch)
{
    struct td_wanted wanted[TD_SUBSCRIPTIONS_MAX];

    if (since != TD_SINCE_EARLIEST && !other_epoch)
        return (struct td_told){0};
    return td_journal_told(worker->reader, wanted, td_hub_wanted(&conn->subscriber, wanted));
}

void td_tell_other_epoch(struct td_worker *worker, struct td_conn *conn, struct td_position from,
                         const struct td_gap *gap)
{
    struct td_gap told = *gap;

    told.reason = TD_GAP_EPOCH;
    td_control_gap(worker, conn, from, &told);
}

static void send_state(struct td_worker *worker, struct td_conn *conn)
{
    if (conn->state != TD_CONN_GONE &&
        td_hub_send_state(worker->hub, &conn->subscriber, NULL, 0) < 0)
        td_conn_drop(worker, conn, "no memory");
}

void td_seek(struct td_worker *worker, struct td_conn *conn, enum td_since since,
             struct td_position position)
{
    bool other_epoch;
    uint64_t seq = td_since_seq(worker, since, position, &other_epoch);

    conn->resuming = since == TD_SINCE_POSITION;
    if (other_epoch)
        td_tell_other_epoch(worker, conn, position, &(struct td_gap){.to = seq});
    if (conn->state == TD_CONN_GONE)
        return;
    td_hub_seek(worker->hub, &conn->subscriber, seq,
                td_since_told(worker, conn, since, other_epoch));
    if (other_epoch && !conn->subscriber.stateless)
        send_state(worker, conn);
}

void td_begin(struct td_worker *worker, struct td_conn *conn, const struct td_query *query)
{
    td_seek(worker, conn, query->since, query->position);
    if (query->state == TD_STATE_FIRST ||
        (query->state == TD_STATE_DEFAULT && query->since == TD_SINCE_NONE))
        send_state(worker, conn);
}
