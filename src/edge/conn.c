/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a connection: reading, flushing, closing. */
#include "edge/conn.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/log.h"
#include "edge/admission.h"
#include "edge/channel.h"
#include "edge/conn_log.h"
#include "edge/filter.h"
#include "edge/http.h"
#include "edge/opened.h"
#include "edge/poll.h"
#include "edge/presence.h"
#include "edge/subscribe.h"
#include "edge/visit.h"
#include "edge/worker.h"
#include "edge/ws.h"
#include <errno.h>

/* What an idle connection may take, with what the allocator and the hub's index add: 400 bytes (docs/performance.md). */
_Static_assert(sizeof(struct td_conn) <= 328, "a connection has grown");

/* Bytes read from one connection in a turn, before others have theirs. */
#define READ_TURN_BYTES (4 * TD_SCRATCH_BYTES)
/* Answers of a connection, ready and held; a page of history is the largest. */
#define OUT_MAX (32 * TD_MIB)

void td_conn_id(const struct td_conn *conn, char ret_text[17])
{
    snprintf(ret_text, 17, "%016llx", (unsigned long long)conn->id);
}

struct td_outbox *td_conn_out(struct td_worker *worker, struct td_conn *conn)
{
    if (!conn->out)
        conn->out = td_outbox_new(conn, OUT_MAX);
    if (!conn->out || td_outbox_own(conn->out) < 0)
        td_conn_drop(worker, conn, "no memory");
    return conn->out;
}

struct td_inbox *td_conn_in(struct td_worker *worker, struct td_conn *conn)
{
    if (conn->in)
        return conn->in;
    conn->in = calloc(1, sizeof(*conn->in));
    if (!conn->in)
        return NULL;
    size_t head = TD_HTTP_HEAD_MAX, body = worker->options->body_bytes_max;
    /* Behind the first request there may be others of a pipeline, as read in one go. */
    td_buf_init(&conn->in->bytes, head + body + 2 * TD_SCRATCH_BYTES);
    conn->in->began = worker->tick;
    td_buf_init(&conn->in->content, body);
    td_ws_decoder_init(&conn->in->ws, worker->options->message_bytes_max);
    return conn->in;
}

void td_conn_drop_inbox(struct td_conn *conn)
{
    if (!conn->in)
        return;
    td_buf_done(&conn->in->bytes);
    td_buf_done(&conn->in->content);
    td_ws_decoder_done(&conn->in->ws);
    free(conn->in);
    conn->in = NULL;
}

void td_conn_dirty(struct td_worker *worker, struct td_conn *conn)
{
    if (conn->state != TD_CONN_GONE && td_list_empty(&conn->dirty))
        td_list_append(&worker->dirty, &conn->dirty);
}

void td_conn_why(struct td_conn *conn, const char *reason)
{
    if (conn->why)
        return; /* what came first is the cause */
    size_t size = strlen(reason) + 1;
    conn->why = malloc(size);
    if (conn->why)
        memcpy(conn->why, reason, size);
}

const uint16_t td_close_codes[TD_CLOSE_CODES] = {
    1000, 1001, 1002, 1003, 1006, 1007, 1008, 1009, 1010,
    1011, 1013, 4001, 4003, 4004, 4008, 4009, 4029,
};

static void count_close(struct td_worker *worker, const struct td_conn *conn)
{
    unsigned code = conn->close_code ? conn->close_code : 1006;
    size_t i = 0;

    while (i < TD_CLOSE_CODES && td_close_codes[i] != code)
        i++;
    if (!conn->counted_ws)
        i = TD_CLOSE_CODES + 1;
    TD_COUNT(worker, closed[i]);
}

void td_conn_resumed(struct td_worker *worker, struct td_conn *conn, int result)
{
    if (conn->resuming)
        TD_COUNT(worker, resumed[result]);
    conn->resuming = false;
}

/* Lets go of what is there in one state only. */
static void leave_state(struct td_conn *conn)
{
    if (conn->state == TD_CONN_POLL)
        td_poll_free(conn);
    if (conn->state == TD_CONN_WS)
        td_start_free(conn);
}

void td_conn_drop(struct td_worker *worker, struct td_conn *conn, const char *reason)
{
    if (conn->state == TD_CONN_GONE)
        return;
    td_conn_log_disconnect(worker, conn, reason);
    count_close(worker, conn);
    td_conn_uncount(worker, conn);
    td_presence_leave(worker, conn);
    td_hub_leave(worker->hub, &conn->subscriber);
    leave_state(conn);
    td_list_remove(&conn->dirty);
    td_conn_drop_inbox(conn);
    td_outbox_free(conn->out);
    td_principal_unref(conn->principal);
    td_filter_free(conn);
    td_bound_free(conn);
    td_opened_free(conn);
    free(conn->why);
    td_admission_gone(worker, conn);
    td_channel_close(conn);
    conn->out = NULL;
    conn->principal = NULL;
    conn->why = NULL;
    conn->state = TD_CONN_GONE;
    TD_UNCOUNT(worker, connections);
    td_list_append(&worker->gone, &conn->dirty);
}

void td_conn_uncount(struct td_worker *worker, struct td_conn *conn)
{
    if (conn->counted_ws)
        TD_UNCOUNT(worker, connections_ws);
    if (conn->counted_sse)
        TD_UNCOUNT(worker, connections_sse);
    if (conn->counted_poll)
        TD_UNCOUNT(worker, connections_poll);
    conn->counted_ws = conn->counted_sse = conn->counted_poll = false;
}

/* From here on input is dropped and the subscriber gets no more.  An event that was sent in part is finished by nobody: the
 * peer sees the end of the stream in it, and what follows would be read as its rest, so nothing may follow. */
void td_conn_finish(struct td_worker *worker, struct td_conn *conn)
{
    if (conn->state == TD_CONN_CLOSING || conn->state == TD_CONN_GONE)
        return;
    bool torn = td_hub_is_partial(&conn->subscriber);
    td_presence_leave(worker, conn);
    td_hub_leave(worker->hub, &conn->subscriber);
    leave_state(conn);
    td_bound_free(conn); /* a seat is free before the peer has gone, who may come back at once */
    td_conn_drop_inbox(conn);
    if (conn->out)
        td_list_remove(&conn->out->waiting);
    conn->state = TD_CONN_CLOSING;
    if (torn && conn->out) {
        td_outbox_free(conn->out);
        conn->out = NULL;
    }
    td_conn_dirty(worker, conn);
}

bool td_conn_send_out(struct td_worker *worker, struct td_conn *conn)
{
    struct td_outbox *out = conn->out;

    while (td_outbox_unsent(out) > 0) {
        struct iovec parts[2];
        if (!conn->writable)
            return false;
        int64_t n = td_channel_send(conn, parts, td_outbox_parts(out, parts));
        if (n < 0) {
            td_conn_drop(worker, conn, "send failed");
            return false;
        }
        td_outbox_sent(out, (size_t)n);
        conn->sent_bytes += (uint64_t)n;
        TD_COUNT_BY(worker, bytes_sent, (uint64_t)n);
        if (conn->state == TD_CONN_HTTP)
            conn->active =
                worker->tick; /* its time between requests counts from the end of the answer */
    }
    if (out && out->n == 0) {
        td_outbox_free(out);
        conn->out = NULL;
    } else if (out) {
        td_buf_reset(&out->ready);
        out->sent = 0;
    }
    return true;
}

/* All is sent: our side ends, and the peer has a moment to read it and end its own. */
static bool end_stream(struct td_worker *worker, struct td_conn *conn)
{
    if (conn->shut)
        return true;
    if (!td_channel_end(conn))
        return false;
    conn->shut = true;
    conn->active = worker->tick; /* the moment counts from here */
    return true;
}

/* Control messages and answers go between events, never into the middle of one.  False when they could not all be sent. */
static bool flush_out(struct td_worker *worker, struct td_conn *conn)
{
    if (td_hub_is_partial(&conn->subscriber) || td_conn_send_out(worker, conn))
        return true;
    if (conn->state != TD_CONN_GONE)
        td_hub_fall_behind(worker->hub, &conn->subscriber);
    return false;
}

static void flush_closing(struct td_worker *worker, struct td_conn *conn)
{
    if (!end_stream(worker, conn))
        return;
    if (conn->peer_ended) {
        td_conn_drop(worker, conn, "closed");
    } else if (conn->reading_paused) {
        conn->reading_paused = false;
        td_conn_read(worker, conn);
    }
}

void td_conn_flush(struct td_worker *worker, struct td_conn *conn)
{
    if (conn->state == TD_CONN_GONE)
        return;
    if (td_channel_flush(conn) < 0) {
        td_conn_drop(worker, conn, "send failed");
        return;
    }
    if (!flush_out(worker, conn))
        return;
    if (conn->state == TD_CONN_CLOSING) {
        flush_closing(worker, conn);
        return;
    }
    if (conn->writable && td_hub_has_more(&conn->subscriber))
        td_hub_catch_up(worker->hub, &conn->subscriber);
    /* Catching up may have finished an event that messages waited for. */
    if (conn->state == TD_CONN_GONE || !flush_out(worker, conn))
        return;
    if (conn->state == TD_CONN_HTTP && conn->last_request && td_outbox_empty(conn->out))
        td_conn_finish(worker, conn);
    if (conn->reading_paused) {
        conn->reading_paused = false;
        td_conn_read(worker, conn); /* also learns again of a peer that has ended */
    } else if (conn->state == TD_CONN_HTTP && conn->peer_ended && td_outbox_empty(conn->out) &&
               !td_conn_unsent(conn)) {
        td_conn_drop(worker, conn, "peer closed");
    }
}

bool td_conn_takes(const struct td_worker *worker, const struct td_conn *conn)
{
    if ((conn->state != TD_CONN_HTTP && conn->state != TD_CONN_WS) || conn->last_request)
        return false;
    return !conn->out || (td_outbox_unsent(conn->out) <= TD_CONN_OUT_HIGH &&
                          conn->out->n < worker->options->pending_publishes_max);
}

static void take_bytes(struct td_worker *worker, struct td_conn *conn, char *bytes, size_t len)
{
    switch ((enum td_conn_state)conn->state) {
    case TD_CONN_HTTP: td_http_take(worker, conn, bytes, len); break;
    case TD_CONN_WS: td_ws_take(worker, conn, bytes, len); break;
    case TD_CONN_POLL:
    case TD_CONN_ASKING:
    case TD_CONN_STREAM:
    case TD_CONN_CLOSING:
    case TD_CONN_GONE: break; /* nothing is expected; dropped */
    }
}

static void at_peer_end(struct td_worker *worker, struct td_conn *conn)
{
    bool owed = false;

    conn->peer_ended = true;
    /* What has been asked for still goes to a peer that has only ended its side: answers on their way, also those that wait for the
     * disk, and a page that is being read.  Who waits for events, or is sent them, is gone. */
    switch ((enum td_conn_state)conn->state) {
    case TD_CONN_HTTP: owed = !td_outbox_empty(conn->out) || td_conn_unsent(conn); break;
    case TD_CONN_CLOSING: owed = td_conn_unsent(conn); break;
    case TD_CONN_POLL: owed = !conn->poll->waits; break;
    case TD_CONN_ASKING: owed = true; break;
    case TD_CONN_WS:
    case TD_CONN_STREAM:
    case TD_CONN_GONE: break;
    }
    if (!owed)
        td_conn_drop(worker, conn, "peer closed");
}

/* Whether bytes may be read: those of streams and of what is closing are only dropped. */
static bool may_read(struct td_worker *worker, struct td_conn *conn)
{
    switch ((enum td_conn_state)conn->state) {
    case TD_CONN_HTTP:
        return conn->last_request || (!conn->reading_paused && td_conn_takes(worker, conn));
    case TD_CONN_WS: return td_conn_takes(worker, conn);
    case TD_CONN_POLL:
    case TD_CONN_ASKING: return false;
    case TD_CONN_STREAM:
    case TD_CONN_CLOSING:
    case TD_CONN_GONE: break;
    }
    return true;
}

void td_conn_read(struct td_worker *worker, struct td_conn *conn)
{
    size_t turn = 0;

    conn->reading_paused = false;
    while (conn->state != TD_CONN_GONE) {
        if (conn->state == TD_CONN_HTTP && td_http_resume(worker, conn))
            continue; /* a request that was waiting in the inbox was taken up */
        if (conn->state == TD_CONN_GONE)
            return; /* it was, and there was no memory for its answer */
        bool over = turn >= READ_TURN_BYTES;
        if (over || !may_read(worker, conn)) {
            conn->reading_paused =
                true; /* taken up by a flush: at the end of this turn, or when answers have gone */
            if (over)
                td_conn_dirty(worker, conn);
            return;
        }
        int64_t n = td_channel_recv(worker, conn, worker->scratch, TD_SCRATCH_BYTES);
        if (n == -EAGAIN)
            return;
        if (n == -EINTR) {
            turn += TD_TLS_READ_MAX;
            continue;
        }
        if (n == 0) {
            at_peer_end(worker, conn);
            return;
        }
        if (n < 0) {
            td_conn_drop(worker, conn, n == TD_EPROTO ? "TLS failed" : "connection reset");
            return;
        }
        turn += (size_t)n;
        conn->received_bytes += (uint64_t)n;
        TD_COUNT_BY(worker, bytes_received, (uint64_t)n);
        take_bytes(worker, conn, worker->scratch, (size_t)n);
    }
}

void td_conn_hung_up(struct td_worker *worker, struct td_conn *conn)
{
    /* A poll is not read from, so this is how it learns that nobody waits any more. */
    if (conn->state == TD_CONN_POLL && conn->poll->waits)
        td_conn_drop(worker, conn, "peer closed");
    else
        td_conn_read(worker, conn);
}
