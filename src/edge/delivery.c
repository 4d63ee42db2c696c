/* SPDX-License-Identifier: Apache-2.0 */
/* What the hub asks of the edge (`arg` is the worker): bytes to a socket, and a word to the client. */
#include "base/assert.h"
#include "base/err.h"
#include "edge/channel.h"
#include "edge/control.h"
#include "edge/filter.h"
#include "edge/poll.h"
#include "edge/presence.h"
#include "edge/subscribe.h"
#include "edge/worker.h"
#include <errno.h>

static int64_t send_parts(struct td_subscriber *subscriber, const struct iovec *parts, int n,
                          void *arg)
{
    struct td_worker *worker = arg;
    struct td_conn *conn = td_conn_of(subscriber);

    if (conn->state == TD_CONN_GONE)
        return -EPIPE;
    if (!conn->writable)
        return 0;
    /* Control messages that wait go before the next event, but never into the middle of one: then they go when that is out. */
    if (td_hub_is_partial(subscriber))
        td_conn_dirty(worker, conn);
    if (!td_hub_is_partial(subscriber) && !td_conn_send_out(worker, conn))
        return conn->state == TD_CONN_GONE ? -EPIPE : 0;
    int64_t taken = td_channel_send(conn, parts, n);
    if (taken < 0)
        td_conn_drop(worker, conn, "send failed");
    if (taken <= 0)
        return taken;
    conn->sent = conn->active = worker->tick;
    TD_COUNT_BY(worker, bytes_sent, (uint64_t)taken);
    conn->sent_bytes += (uint64_t)taken;
    return taken;
}

static void gap(struct td_subscriber *subscriber, const struct td_gap *gap, void *arg)
{
    struct td_worker *worker = arg;
    struct td_conn *conn = td_conn_of(subscriber);

    /* The outbox goes before the next event in any case. */
    td_control_gap(worker, conn, td_here(worker, gap->from), gap);
}

static void keep(struct td_subscriber *subscriber, struct td_slice rest, void *arg)
{
    struct td_worker *worker = arg;
    struct td_conn *conn = td_conn_of(subscriber);

    /* What was queued before has gone in front of the event, so this is next. */
    struct td_outbox *out = conn->state == TD_CONN_GONE ? NULL : td_conn_out(worker, conn);
    if (out && td_buf_put(&out->ready, rest) < 0)
        td_conn_drop(worker, conn, "no memory for the rest of an event");
}

static void history_ended(struct td_subscriber *subscriber, struct td_slice ref, void *arg)
{
    td_tell_history_ended(arg, td_conn_of(subscriber), ref);
}

static void caught_up(struct td_subscriber *subscriber, void *arg)
{
    struct td_worker *worker = arg;
    struct td_conn *conn = td_conn_of(subscriber);

    if (conn->state != TD_CONN_WS && conn->state != TD_CONN_STREAM)
        return;
    td_tell_caught_up(worker, conn);
}

static void touched(struct td_subscriber *subscriber, void *arg)
{
    td_poll_touched(arg, td_conn_of(subscriber));
}

static void broken(struct td_subscriber *subscriber, void *arg)
{
    struct td_conn *conn = td_conn_of(subscriber);

    /* Half an event is out and its rest is not to be had: nothing can follow it.  The client resumes. */
    conn->close_code = 1013;
    td_conn_drop(arg, conn, "an event that was sent in part is gone from the log");
}

static bool wants(const struct td_subscriber *subscriber, const struct td_record *record, void *arg)
{
    const struct td_conn *conn =
        TD_CONTAINER_OF((struct td_subscriber *)(uintptr_t)subscriber, struct td_conn, subscriber);

    (void)arg;
    return !(subscriber->present && td_presence_is_own(conn, record)) &&
           td_conn_wants(conn, record);
}

const struct td_hub_ops td_delivery_ops = {
    .send = send_parts,
    .gap = gap,
    .keep = keep,
    .history_ended = history_ended,
    .caught_up = caught_up,
    .touched = touched,
    .broken = broken,
    .wants = wants,
};
