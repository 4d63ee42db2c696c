/* SPDX-License-Identifier: Apache-2.0 */
/* The clock's work: heartbeats, time-outs, drain.  No timers: a sweep over the slab looks at each connection
 * once a second, at a tenth of them each tick. */
#include "base/err.h"
#include "base/log.h"
#include "codec/sse.h"
#include "edge/authorize.h"
#include "edge/channel.h"
#include "edge/control.h"
#include "edge/expiry.h"
#include "edge/http.h"
#include "edge/poll.h"
#include "edge/recheck.h"
#include "edge/stream.h"
#include "edge/worker.h"
#include "edge/ws.h"
#include "jobs/reserved.h"

#define CLOSING_GRACE_TICKS (2 * TD_TICKS_PER_S)
/* Connections drained in a tick, at the least; more when there are so many that drain_s would not do. */
#define DRAIN_PER_TICK 64

static td_ticks seconds(unsigned s)
{
    return (td_ticks)s * TD_TICKS_PER_S;
}

static bool has_unsent(const struct td_conn *conn)
{
    return td_conn_unsent(conn) || td_hub_has_more(&conn->subscriber);
}

/* A connection that is behind is alive while its peer acknowledges bytes. */
static void sweep_behind(struct td_worker *worker, struct td_conn *conn)
{
    uint64_t unacked = td_channel_unacked(conn);
    /* What is on its way may be as much as before although all of it is other bytes. */
    uint32_t acked_bytes = (uint32_t)(conn->sent_bytes - unacked);

    if (conn->writable || acked_bytes != conn->acked_bytes || unacked == 0) {
        conn->acked_bytes = acked_bytes;
        conn->acked = worker->tick;
    } else if (worker->tick - conn->acked >=
               seconds(td_conn_limits(worker, conn)->behind_timeout_s)) {
        TD_COUNT(worker, heartbeat_timeouts);
        conn->close_code = 4008;
        td_conn_drop(worker, conn, "heartbeat timeout: the peer acknowledges nothing");
    }
}

static void send_heartbeat(struct td_worker *worker, struct td_conn *conn)
{
    struct td_control control;

    td_control_begin(&control, "heartbeat", (struct td_slice){NULL, 0});
    td_control_position(&control, "position",
                        td_here(worker, td_hub_position(worker->hub, &conn->subscriber)));
    td_control_now(&control);
    td_control_send(&control, worker, conn);
}

/* Nothing is subscribed, nothing was said for long, and no job runs that it has started. */
static bool is_idle(struct td_worker *worker, struct td_conn *conn,
                    const struct td_conn_limits *limits)
{
    char id[17];

    if (limits->idle_timeout_s == 0 || td_hub_count_named(&conn->subscriber) > 0 ||
        worker->tick - conn->active < seconds(limits->idle_timeout_s))
        return false;
    td_conn_id(conn, id);
    if (!td_reserved_has(worker->busy, td_slice_str(id)))
        return true;
    conn->active = worker->tick; /* its time begins anew */
    return false;
}

static void sweep_ws(struct td_worker *worker, struct td_conn *conn)
{
    const struct td_conn_limits *limits = td_conn_limits(worker, conn);
    td_ticks now = worker->tick;

    conn->controls = 0;
    if (td_expiry_check(worker, conn))
        return;
    if (has_unsent(conn)) {
        conn->pinged = 0;
        sweep_behind(worker, conn);
        return;
    }
    /* A ping may stand behind much that is still in the kernel: the peer has its time for the pong from when it has got that. */
    if (conn->pinged && td_channel_unacked(conn) > 0) {
        conn->pinged = now;
        sweep_behind(worker, conn);
        return;
    }
    conn->acked = now;
    if (conn->pinged && now - conn->pinged >= seconds(limits->pong_timeout_s)) {
        TD_COUNT(worker, heartbeat_timeouts);
        td_ws_close(worker, conn, 4008, "heartbeat timeout");
        return;
    }
    if (is_idle(worker, conn, limits)) {
        td_ws_close(worker, conn, 4008, "idle timeout: nothing is subscribed");
        return;
    }
    if (!conn->pinged && now - conn->beat >= seconds(limits->ping_interval_s)) {
        conn->beat = conn->pinged = now;
        td_ws_send(worker, conn, TD_WS_PING, TD_S(""));
    }
    if (conn->state == TD_CONN_WS && now - conn->sent >= seconds(limits->ping_interval_s))
        send_heartbeat(worker, conn);
}

static void sweep_stream(struct td_worker *worker, struct td_conn *conn)
{
    if (td_expiry_check(worker, conn))
        return;
    if (has_unsent(conn)) {
        sweep_behind(worker, conn);
        return;
    }
    conn->acked = worker->tick;
    if (worker->tick - conn->sent >= seconds(td_conn_limits(worker, conn)->sse_interval_s))
        td_stream_keep_alive(worker, conn);
}

/* A request has to come whole in time, and its head sooner, counted from its first byte, so a byte a second does not keep it open
 * (slowloris); a connection has as long as for a head to send its first.  Between requests it may idle longer, as proxies keep theirs for a minute. */
#define KEEP_ALIVE_S 75
/* Who is one too many is there only to be told so, and leaves the place to the next. */
#define OVER_LIMIT_S 2

static unsigned head_timeout_s(const struct td_edge_options *options)
{
    return TD_MIN(options->head_timeout_s, options->request_timeout_s);
}

static void sweep_http(struct td_worker *worker, struct td_conn *conn)
{
    const struct td_edge_options *options = worker->options;
    bool fresh = conn->active == conn->opened;
    unsigned idle_s = conn->over_limit ? OVER_LIMIT_S
                      : fresh          ? head_timeout_s(options)
                                       : KEEP_ALIVE_S;

    if (td_conn_unsent(conn)) {
        sweep_behind(worker, conn);
        return;
    }
    conn->acked = worker->tick;
    if (!td_outbox_empty(conn->out))
        return; /* answers that wait for the disk are not the peer's fault */
    bool has_head = conn->in && conn->in->admitted;
    unsigned in_s = has_head ? options->request_timeout_s : head_timeout_s(options);
    if (conn->in && worker->tick - conn->in->began >= seconds(in_s))
        td_conn_refuse(worker, conn, TD_ETIMEOUT, "The request did not come in time.");
    else if (!conn->in && worker->tick - conn->active >= seconds(idle_s))
        td_conn_drop(worker, conn, "idle");
}

/* The desk answers each ask; where it can't get at what it has to read, a client does not wait for ever.  An answer that still comes finds the
 * connection in another state, and is dropped. */
static void sweep_asking(struct td_worker *worker, struct td_conn *conn)
{
    if (worker->tick - conn->active >= seconds(worker->options->request_timeout_s))
        td_conn_refuse(worker, conn, TD_EUNAVAILABLE, "It could not be answered in time.");
}

static void sweep_one(struct td_worker *worker, struct td_conn *conn)
{
    td_recheck_policy(worker, conn);
    td_authorize_sweep(worker, conn);
    switch ((enum td_conn_state)conn->state) {
    case TD_CONN_HTTP: sweep_http(worker, conn); break;
    case TD_CONN_POLL:
        if (!td_expiry_check(worker, conn) && (int32_t)(worker->tick - conn->poll->deadline) >= 0)
            td_poll_end(worker, conn);
        break;
    case TD_CONN_WS: sweep_ws(worker, conn); break;
    case TD_CONN_STREAM: sweep_stream(worker, conn); break;
    case TD_CONN_CLOSING:
        if (!conn->shut)
            sweep_behind(worker, conn);
        else if (worker->tick - conn->active >= CLOSING_GRACE_TICKS)
            td_conn_drop(worker, conn, "closed");
        break;
    case TD_CONN_ASKING: sweep_asking(worker, conn); break;
    case TD_CONN_GONE: break;
    }
}

/* Seconds after which a client should come back: spread, so that they do not come at once. */
static unsigned retry_after_s(const struct td_conn *conn)
{
    return 1 + (unsigned)(conn->id % 5);
}

static void drain_one(struct td_worker *worker, struct td_conn *conn)
{
    struct td_control control;

    switch ((enum td_conn_state)conn->state) {
    case TD_CONN_WS:
        if (conn->out && conn->out->n > 0)
            break; /* a publish is about to be answered */
        td_control_begin(&control, "draining", (struct td_slice){NULL, 0});
        td_control_u64(&control, "retry_after", retry_after_s(conn));
        td_control_send(&control, worker, conn);
        td_ws_close(worker, conn, 1001, "going away: the server is stopping");
        break;
    case TD_CONN_STREAM: {
        td_conn_why(conn, "the server is stopping");
        struct td_outbox *out = td_conn_out(worker, conn);
        if (out && td_sse_put_retry(&out->ready, retry_after_s(conn) * UINT64_C(1000)) == 0)
            td_conn_finish(worker, conn);
        break;
    }
    case TD_CONN_POLL: td_poll_end(worker, conn); break;
    case TD_CONN_HTTP:
        td_conn_read(worker, conn); /* what has come by now is still answered */
        if (conn->state != TD_CONN_HTTP || !td_outbox_empty(conn->out) || td_conn_unsent(conn))
            break; /* answers are on their way; requests that wait behind them are refused in their turn */
        if (!conn->in)
            td_conn_drop(worker, conn, "server stopping");
        else if (worker->tick - worker->drain_began >= seconds(1))
            td_conn_refuse(worker, conn, TD_EDRAINING, "The server is stopping.");
        break;
    case TD_CONN_ASKING:
    case TD_CONN_CLOSING:
    case TD_CONN_GONE: break;
    }
}

static void drain(struct td_worker *worker)
{
    uint32_t places = worker->n_chunks * TD_SLAB_CHUNK;
    td_ticks all = seconds(worker->options->drain_s), gone = worker->tick - worker->drain_began;
    /* Half of the time to tell everyone, the rest to let them go. */
    uint32_t share = TD_MAX((uint32_t)DRAIN_PER_TICK, 2 * places / TD_MAX(all, (td_ticks)1));

    bool abandoned = atomic_load_explicit(&worker->abandoned, memory_order_acquire);
    if (gone >= all || abandoned) {
        for (uint32_t i = 0; i < places; i++) {
            struct td_conn *conn = td_worker_conn(worker, i);
            if (conn && conn->state != TD_CONN_GONE)
                td_conn_drop(worker, conn, abandoned ? "stopped at once" : "drain time is over");
        }
        return;
    }
    for (uint32_t i = 0; i < share; i++) {
        struct td_conn *conn = td_worker_conn(worker, worker->drain_at);
        worker->drain_at = places ? (worker->drain_at + 1) % places : 0;
        if (conn)
            drain_one(worker, conn);
    }
}

void td_worker_sweep(struct td_worker *worker)
{
    uint32_t places = worker->n_chunks * TD_SLAB_CHUNK;
    uint32_t share = (places + TD_TICKS_PER_S - 1) / TD_TICKS_PER_S;

    for (uint32_t i = 0; i < share; i++) {
        struct td_conn *conn = td_worker_conn(worker, worker->sweep_at);
        worker->sweep_at = (worker->sweep_at + 1) % places;
        if (conn)
            sweep_one(worker, conn);
        if (conn)
            worker->outbox_seen += td_outbox_unsent(conn->out);
        if (worker->sweep_at == 0) {
            atomic_store_explicit(&worker->stat.outbox_bytes, worker->outbox_seen,
                                  memory_order_relaxed);
            worker->outbox_seen = 0;
        }
    }
    if (worker->draining)
        drain(worker);
}
