/* SPDX-License-Identifier: Apache-2.0 */
/* What the hub asks of the edge: bytes to a socket, and a word to the client. */
#include "base/assert.h"
#include "base/err.h"
#include "edge/control.h"
#include "edge/poll.h"
#include "edge/subscribe.h"
#include "edge/worker.h"
#include "os/net.h"
#include <errno.h>

/* Control messages that wait go before the next event, but never into the middle of one.  Whether nothing waits any more. */
static bool outbox_first(struct td_worker *worker, struct td_conn *conn)
{
    struct td_outbox *out = conn->out;

    if (td_outbox_unsent(out) == 0 || td_hub_is_partial(&conn->subscriber))
        return true;
    while (td_outbox_unsent(out) > 0) {
        int64_t n = td_net_send(conn->socket, out->ready.ptr + out->sent, td_outbox_unsent(out));
        if (n == -EAGAIN) {
            conn->writable = false;
            return false;
        }
        if (n < 0) {
            td_conn_drop(worker, conn, "send failed");
            return false;
        }
        out->sent += (size_t)n;
        TD_COUNT_BY(worker, bytes_sent, (uint64_t)n);
    }
    td_buf_reset(&out->ready);
    out->sent = 0;
    return true;
}

static int64_t send_parts(struct td_subscriber *subscriber, const struct iovec *parts, int n)
{
    struct td_worker *worker = td_worker_here;
    struct td_conn *conn = td_conn_of(subscriber);

    if (conn->state == TD_CONN_GONE)
        return -EPIPE;
    if (!conn->writable)
        return 0;
    if (conn->out && !outbox_first(worker, conn))
        return conn->state == TD_CONN_GONE ? -EPIPE : 0;
    int64_t taken = n == 1 ? td_net_send(conn->socket, parts->iov_base, parts->iov_len)
                           : td_net_sendv(conn->socket, parts, n);
    if (taken == -EAGAIN) {
        conn->writable = false;
        return 0;
    }
    if (taken < 0) {
        td_conn_drop(worker, conn, "send failed");
        return taken;
    }
    conn->sent = conn->active = worker->tick;
    TD_COUNT_BY(worker, bytes_sent, (uint64_t)taken);
    size_t asked = 0;
    for (int i = 0; i < n; i++)
        asked += parts[i].iov_len;
    if ((size_t)taken < asked)
        conn->writable = false; /* an edge will tell */
    return taken;
}

static bool gap(struct td_subscriber *subscriber, uint64_t from, uint64_t to,
                enum td_gap_reason reason)
{
    struct td_worker *worker = td_worker_here;
    struct td_conn *conn = td_conn_of(subscriber);
    struct td_position position = {td_journal_epoch(worker->journal), from};

    td_tell_gap(worker, conn, position, to, reason);
    /* The outbox goes before the next event in any case, so delivery may go on. */
    return conn->state != TD_CONN_GONE;
}

static void caught_up(struct td_subscriber *subscriber)
{
    struct td_worker *worker = td_worker_here;
    struct td_conn *conn = td_conn_of(subscriber);
    struct td_control control;

    if (conn->state != TD_CONN_WS && conn->state != TD_CONN_STREAM)
        return;
    td_control_begin(&control, "caught_up",
                     conn->resume ? td_slice(conn->resume->ref, conn->resume->ref_len)
                                  : (struct td_slice){NULL, 0});
    td_control_resume(&control, worker, td_hub_head(worker->hub));
    td_control_send(&control, worker, conn);
    free(conn->resume);
    conn->resume = NULL;
}

static void touched(struct td_subscriber *subscriber)
{
    td_poll_touched(td_worker_here, td_conn_of(subscriber));
}

static void broken(struct td_subscriber *subscriber)
{
    struct td_conn *conn = td_conn_of(subscriber);

    /* Half an event is out and its rest is not to be had: nothing can follow it.  The client resumes. */
    conn->close_code = 1013;
    td_conn_drop(td_worker_here, conn, "an event that was sent in part is gone from the log");
}

static bool type_wanted(const struct td_filter *filter, struct td_slice type)
{
    const char *at = filter->types;

    if (filter->n_types == 0)
        return true;
    for (size_t i = 0; i < filter->n_types; i++) {
        size_t len = (unsigned char)*at++;
        if (td_slice_eq(td_slice(at, len), type))
            return true;
        at += len;
    }
    return false;
}

static bool wants(const struct td_subscriber *subscriber, const struct td_record *record)
{
    const struct td_conn *conn =
        TD_CONTAINER_OF((struct td_subscriber *)(uintptr_t)subscriber, struct td_conn, subscriber);

    if (!conn->filter)
        return true;
    if (conn->filter->excludes && td_principal_excludes(conn->principal, record->topic))
        return false;
    return type_wanted(conn->filter, record->type);
}

const struct td_hub_ops td_delivery_ops = {
    .send = send_parts,
    .gap = gap,
    .caught_up = caught_up,
    .touched = touched,
    .broken = broken,
    .wants = wants,
};
