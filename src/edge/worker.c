/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/worker.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/log.h"
#include "edge/http.h"
#include "edge/poll.h"
#include "edge/ws.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/random.h"
#include <errno.h>

#define ACCEPTS_MAX  256 /* of one listener in a turn */
#define REFUSED_MAX  256 /* connections above the limit that are answered before they are closed */
#define LISTENER_TAG (UINT64_C(1) << 63)

static void wake(void *arg)
{
    struct td_worker *worker = arg;

    /* An exchange, as in os/loop.h's sleep: a store would not pass on what the one before it published. */
    (void)atomic_exchange(&worker->woken, true);
    td_loop_wake(worker->loop);
}

static int add_listeners(struct td_worker *worker)
{
    for (size_t i = 0; i < worker->n_listeners; i++) {
        int r = td_loop_add_listener(worker->loop, worker->listeners[i], LISTENER_TAG | i);
        if (r < 0)
            return r;
    }
    return 0;
}

int td_worker_new(const struct td_worker_options *options, struct td_worker **ret_worker)
{
    struct td_worker *worker = calloc(1, sizeof(*worker));
    int r = -ENOMEM;

    TD_ASSERT(options->n_listeners <= TD_LISTENERS_MAX);
    if (!worker)
        return r;
    memcpy(worker->listeners, options->listeners, options->n_listeners * sizeof(int));
    worker->n_listeners = options->n_listeners;
    worker->number = options->number;
    worker->options = options->edge;
    worker->handler = options->handler;
    worker->journal = options->journal;
    td_list_init(&worker->dirty);
    td_list_init(&worker->waiting);
    td_list_init(&worker->polls);
    td_list_init(&worker->cold_polls);
    td_list_init(&worker->gone);
    td_random_bytes(&worker->next_id, sizeof(worker->next_id));
    worker->now = worker->_began = td_clock_ns();
    worker->tick = 1;
    worker->spare = -1;
    worker->scratch = malloc(TD_SCRATCH_BYTES);
    worker->tokens = td_token_cache_new(TD_TOKEN_CACHE_MAX);
    if (!worker->scratch || !worker->tokens)
        goto fail;
    r = td_loop_new(&worker->loop);
    if (r < 0)
        goto fail;
    r = td_journal_reader_open(worker->journal, wake, worker, &worker->reader);
    if (r < 0)
        goto fail;
    r = td_hub_new(worker->journal, worker->reader, &td_delivery_ops, worker, &worker->hub);
    if (r < 0)
        goto fail;
    r = add_listeners(worker);
    if (r < 0)
        goto fail;
    *ret_worker = worker;
    return 0;
fail:
    td_worker_free(worker);
    return r;
}

static void close_listeners(struct td_worker *worker)
{
    for (size_t i = 0; i < worker->n_listeners; i++)
        td_net_close(worker->listeners[i]);
    worker->n_listeners = 0;
}

static void free_gone(struct td_worker *worker)
{
    struct td_list *node;

    while ((node = td_list_pop(&worker->gone))) {
        struct td_conn *conn = TD_CONTAINER_OF(node, struct td_conn, dirty);
        uint32_t index = conn->index, generation = conn->generation;
        TD_ASSERT(conn->state == TD_CONN_GONE);
        *conn = (struct td_conn){.socket = -1, .index = index, .generation = generation + 1};
        worker->free_places[worker->n_free++] = index;
        worker->n_conns--;
    }
}

void td_worker_free(struct td_worker *worker)
{
    if (!worker)
        return;
    for (uint32_t i = 0; i < worker->n_chunks * TD_SLAB_CHUNK; i++) {
        struct td_conn *conn = td_worker_conn(worker, i);
        if (conn && conn->state != TD_CONN_GONE)
            td_conn_drop(worker, conn, "server stopped");
    }
    free_gone(worker);
    close_listeners(worker);
    if (worker->spare >= 0)
        td_file_close(worker->spare);
    td_hub_free(worker->hub);
    if (worker->reader)
        td_journal_reader_close(worker->reader);
    td_loop_free(worker->loop);
    td_token_cache_free(worker->tokens);
    for (uint32_t i = 0; i < worker->n_chunks; i++)
        free(worker->chunks[i]);
    free(worker->chunks);
    free(worker->free_places);
    free(worker->scratch);
    free(worker);
}

void td_worker_stop(struct td_worker *worker)
{
    atomic_store_explicit(&worker->stopping, true, memory_order_release);
    td_loop_wake(worker->loop);
}

struct td_conn *td_worker_conn(struct td_worker *worker, uint32_t index)
{
    if (index / TD_SLAB_CHUNK >= worker->n_chunks)
        return NULL;
    struct td_conn *conn = &worker->chunks[index / TD_SLAB_CHUNK][index % TD_SLAB_CHUNK];
    return conn->socket >= 0 || conn->state == TD_CONN_GONE ? conn : NULL;
}

static int grow_slab(struct td_worker *worker)
{
    uint32_t n = worker->n_chunks;
    struct td_conn **chunks = realloc(worker->chunks, (n + 1) * sizeof(*chunks));
    if (!chunks)
        return -ENOMEM;
    worker->chunks = chunks;
    uint32_t *places =
        realloc(worker->free_places, (size_t)(n + 1) * TD_SLAB_CHUNK * sizeof(*places));
    if (!places)
        return -ENOMEM;
    worker->free_places = places;
    chunks[n] = calloc(TD_SLAB_CHUNK, sizeof(**chunks));
    if (!chunks[n])
        return -ENOMEM;
    worker->n_chunks = n + 1;
    for (uint32_t i = TD_SLAB_CHUNK; i-- > 0;) {
        chunks[n][i].socket = -1;
        chunks[n][i].index = n * TD_SLAB_CHUNK + i;
        worker->free_places[worker->n_free++] = chunks[n][i].index;
    }
    return 0;
}

static void log_connect(const struct td_conn *conn)
{
    struct td_log_line line;

    if (!td_log_begin(&line, TD_LOG_DEBUG, "accept"))
        return;
    td_conn_log(&line, conn);
    td_log_end(&line);
}

static int begin_conn(struct td_worker *worker, int socket, const struct td_addr *peer)
{
    /* Some more than the limit are let in, to be told that there are too many. */
    bool over_limit = worker->n_conns >= worker->options->connections_max;

    if (worker->n_conns >= (uint64_t)worker->options->connections_max + REFUSED_MAX)
        return -EMFILE;
    if (worker->n_free == 0 && grow_slab(worker) < 0)
        return -ENOMEM;
    uint32_t index = worker->free_places[--worker->n_free];
    struct td_conn *conn = &worker->chunks[index / TD_SLAB_CHUNK][index % TD_SLAB_CHUNK];
    uint32_t generation = conn->generation;
    int r = td_loop_add(worker->loop, socket, (uint64_t)(generation & 0x7fffffff) << 32 | index);
    if (r < 0) {
        worker->n_free++;
        return r;
    }
    *conn = (struct td_conn){
        .socket = socket,
        .index = index,
        .generation = generation,
        .peer = *peer,
        .id = worker->next_id++,
        .state = TD_CONN_HTTP,
        .opened = worker->tick,
        .sent = worker->tick,
        .active = worker->tick,
        .beat = worker->tick,
        .acked = worker->tick,
        .rate_at = worker->tick,
        .rate_left = (uint16_t)TD_MIN(worker->options->commands_per_s * 2, UINT16_MAX),
        .writable = true,
        .over_limit = over_limit,
    };
    td_subscriber_init(&conn->subscriber, TD_WIRE_NONE);
    td_list_init(&conn->dirty);
    worker->n_conns++;
    TD_COUNT(worker, accepted);
    TD_COUNT(worker, connections);
    log_connect(conn);
    td_conn_read(worker, conn);
    return 0;
}

static void pause_listening(struct td_worker *worker, bool paused)
{
    if (worker->listening_paused == paused)
        return;
    for (size_t i = 0; i < worker->n_listeners; i++)
        if (td_loop_pause(worker->loop, worker->listeners[i], LISTENER_TAG | i, paused) < 0)
            return;
    worker->listening_paused = paused;
}

/* Out of descriptors: the spare one is given up to take a connection and close it, so that its peer is not left to wait.  Where there
 * is none, nothing is accepted until the next tick: level-triggered, the listener would come back at once. */
static void turn_away(struct td_worker *worker, int listener)
{
    struct td_addr peer;

    if (worker->tick >= worker->complain_at) {
        worker->complain_at = worker->tick + 10 * TD_TICKS_PER_S;
        td_log(TD_LOG_WARN, "accept", "out of descriptors: connections are turned away");
    }
    if (worker->spare < 0) {
        pause_listening(worker, true);
        return;
    }
    td_file_close(worker->spare);
    int socket = td_net_accept(listener, &peer);
    if (socket >= 0)
        td_net_close(socket);
    TD_COUNT(worker, refused);
    worker->spare = td_file_open("/dev/null", TD_FILE_READ);
    if (socket < 0)
        pause_listening(worker, true);
}

static void accept_from(struct td_worker *worker, int listener)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        struct td_addr peer;
        int socket = td_net_accept(listener, &peer);
        if (socket == -ECONNABORTED || socket == -EINTR)
            continue;
        if (socket == -EMFILE || socket == -ENFILE || socket == -ENOMEM || socket == -ENOBUFS) {
            turn_away(worker, listener);
            return;
        }
        if (socket < 0)
            return;
        if (begin_conn(worker, socket, &peer) < 0) {
            TD_COUNT(worker, refused);
            td_net_close(socket);
        }
    }
}

static void handle(struct td_worker *worker, const struct td_io_event *event)
{
    if (event->tag & LISTENER_TAG) {
        size_t i = (size_t)(event->tag & ~LISTENER_TAG);
        if (i < worker->n_listeners)
            accept_from(worker, worker->listeners[i]);
        return;
    }
    struct td_conn *conn = td_worker_conn(worker, (uint32_t)event->tag);
    if (!conn || conn->state == TD_CONN_GONE ||
        (conn->generation & 0x7fffffff) != (uint32_t)(event->tag >> 32))
        return; /* for one that was closed earlier in this turn */
    if (event->what & TD_IO_WRITE) {
        conn->writable = true;
        td_conn_flush(worker, conn);
    }
    if (conn->state != TD_CONN_GONE && (event->what & TD_IO_HANGUP))
        td_conn_hung_up(worker, conn);
    else if (conn->state != TD_CONN_GONE && (event->what & TD_IO_READ))
        td_conn_read(worker, conn);
}

/* The answers that wait for the disk can't be given: 503, and the connection ends. */
static void publish_failed(struct td_worker *worker, struct td_conn *conn)
{
    size_t n = td_outbox_forget(conn->out);
    const char *what = "The disk failed to sync the log: whether this was stored is unknown.";
    struct td_log_line line;

    if (td_log_begin(&line, TD_LOG_ERROR, "publish")) {
        td_log_u64(&line, "unanswered", n);
        td_log_str(&line, "message", td_slice_str(what));
        td_log_end(&line);
    }
    if (conn->state == TD_CONN_WS) {
        td_ws_close(worker, conn, td_err_close(TD_ELOGFAILED), "log_failed: publish again");
        return;
    }
    td_conn_refuse(worker, conn, TD_ELOGFAILED, what);
}

/* Answers to publishes whose events have become readable, or can't any more. */
static void release_publishes(struct td_worker *worker)
{
    uint64_t readable = td_journal_readable(worker->journal);
    bool failed = td_journal_health(worker->journal) == TD_ELOGFAILED;
    struct td_list again;
    struct td_list *node;

    td_list_init(&again);
    while ((node = td_list_pop(&worker->waiting))) {
        struct td_conn *conn = TD_CONTAINER_OF(node, struct td_outbox, waiting)->conn;
        int r = td_outbox_release(conn->out, readable);
        if (r < 0) {
            td_conn_drop(worker, conn, "no memory");
            continue;
        }
        if (r > 0)
            td_conn_dirty(worker, conn);
        if (conn->out->n > 0 && failed)
            publish_failed(worker, conn);
        else if (conn->out->n > 0)
            td_list_append(&again, &conn->out->waiting);
    }
    td_list_splice(&worker->waiting, &again);
}

static void flush_dirty(struct td_worker *worker)
{
    struct td_list turn;
    struct td_list *node;

    td_list_init(&turn);
    td_list_splice(&turn, &worker->dirty);
    while ((node = td_list_pop(&turn)))
        td_conn_flush(worker, TD_CONTAINER_OF(node, struct td_conn, dirty));
}

static void show_hub_stat(struct td_worker *worker)
{
    struct td_hub_stat stat;

    td_hub_stat(worker->hub, &stat);
    atomic_store_explicit(&worker->stat.delivered, stat.delivered, memory_order_relaxed);
    atomic_store_explicit(&worker->stat.sends, stat.sends, memory_order_relaxed);
    atomic_store_explicit(&worker->stat.short_sends, stat.short_sends, memory_order_relaxed);
    atomic_store_explicit(&worker->stat.wakeups, stat.wakeups, memory_order_relaxed);
    atomic_store_explicit(&worker->stat.subscriptions, stat.subscriptions, memory_order_relaxed);
    atomic_store_explicit(&worker->stat.patterns, stat.patterns, memory_order_relaxed);
}

static void look_at_clock(struct td_worker *worker)
{
    worker->now = td_clock_ns();
    worker->tick = (td_ticks)((worker->now - worker->_began) / (TD_NS_PER_S / TD_TICKS_PER_S)) + 1;
    if (atomic_load_explicit(&worker->stopping, memory_order_acquire) && !worker->draining) {
        worker->draining = true;
        worker->drain_began = worker->tick;
        close_listeners(worker);
    }
    if (worker->tick == worker->swept)
        return;
    worker->swept = worker->tick;
    pause_listening(worker, false);
    if (worker->spare < 0)
        worker->spare = td_file_open("/dev/null", TD_FILE_READ);
    td_worker_sweep(worker);
    show_hub_stat(worker);
}

/* A broadcast costs a send for each connection that it touches, however many events it brings.  So a worker whose broadcasts are
 * long does not begin one while a commit is under way that will bring more: it waits for that, for half of what its
 * last broadcast took at most, and then goes. */
#define BROADCAST_LONG_NS (TD_NS_PER_MS / 10)

static bool is_holding(const struct td_worker *worker)
{
    return worker->held_at != 0 && worker->held_at == td_journal_readable(worker->journal);
}

static void broadcast(struct td_worker *worker)
{
    td_ns now = td_clock_ns();
    uint64_t readable = td_journal_readable(worker->journal);
    bool due = td_hub_is_due(worker->hub);

    if (due && worker->held_at == 0 && worker->broadcast_ns >= BROADCAST_LONG_NS &&
        td_journal_head(worker->journal) > readable) {
        worker->held_at = readable;
        worker->held_until = now + worker->broadcast_ns / 2;
        return;
    }
    if (is_holding(worker) && now < worker->held_until)
        return;
    worker->held_at = 0;
    td_hub_advance(worker->hub);
    if (due)
        worker->broadcast_ns = td_clock_ns() - now;
}

static bool has_work(const struct td_worker *worker)
{
    return atomic_load(&worker->woken) || td_hub_has_again(worker->hub) ||
           (td_hub_is_due(worker->hub) && !is_holding(worker)) || !td_list_empty(&worker->dirty) ||
           !td_list_empty(&worker->polls) ||
           (atomic_load_explicit(&worker->stopping, memory_order_acquire) && !worker->draining);
}

static int wait_ms(const struct td_worker *worker, int timeout_ms)
{
    /* The sweep wants a turn each tick while there is someone to sweep. */
    int tick_ms = 1000 / TD_TICKS_PER_S;

    if (is_holding(worker))
        tick_ms = 1 + (int)(worker->broadcast_ns / 2 / TD_NS_PER_MS);
    else if (worker->n_conns == 0 && !worker->draining && !worker->listening_paused)
        return timeout_ms;
    return timeout_ms < 0 ? tick_ms : TD_MIN(timeout_ms, tick_ms);
}

bool td_worker_turn(struct td_worker *worker, int timeout_ms)
{
    struct td_io_event events[TD_LOOP_EVENTS_MAX];

    td_loop_doze(worker->loop);
    td_journal_quiesce(worker->reader, true);
    int timeout = wait_ms(worker, timeout_ms);
    if (has_work(worker)) { /* looked at after saying that a wake is needed: none is lost */
        td_loop_undoze(worker->loop);
        timeout = 0;
    }
    int n = td_loop_wait(worker->loop, events, TD_LOOP_EVENTS_MAX, timeout);
    td_journal_quiesce(worker->reader, false);
    if (atomic_exchange(&worker->woken, false)) /* before anything is looked at */
        td_list_splice(&worker->polls, &worker->cold_polls);
    look_at_clock(worker);
    for (int i = 0; i < n; i++)
        handle(worker, &events[i]);
    release_publishes(worker);
    flush_dirty(worker);
    broadcast(worker);
    td_hub_run(worker->hub);
    td_polls_run(worker);
    flush_dirty(worker);
    free_gone(worker);
    return !worker->draining || worker->n_conns > 0;
}
