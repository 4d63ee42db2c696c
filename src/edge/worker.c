/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/worker.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/log.h"
#include "edge/accept.h"
#include "edge/poll.h"
#include "edge/visit.h"
#include "edge/ws.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/random.h"
#include <errno.h>

static void wake(void *arg)
{
    struct td_worker *worker = arg;

    /* An exchange, as in os/loop.h's sleep: a store would not pass on what the one before it published. */
    (void)atomic_exchange(&worker->woken, true);
    td_loop_wake(worker->loop);
}

int td_worker_new(const struct td_worker_options *options, struct td_worker **ret_worker)
{
    struct td_worker *worker = calloc(1, sizeof(*worker));
    int r = -ENOMEM;

    TD_ASSERT(options->n_listeners <= TD_LISTENERS_MAX);
    if (!worker) {
        for (size_t i = 0; i < options->n_listeners; i++)
            td_net_close(options->listeners[i]);
        return r;
    }
    memcpy(worker->listeners, options->listeners, options->n_listeners * sizeof(int));
    worker->n_listeners = options->n_listeners;
    worker->n_tls_listeners = options->n_tls_listeners;
    worker->number = options->number;
    worker->options = options->edge;
    atomic_init(&worker->configured, options->edge);
    atomic_init(&worker->generation, options->edge->generation);
    worker->handler = options->handler;
    worker->journal = options->journal;
    worker->quota = options->quota;
    worker->presence = options->presence;
    worker->desk = options->desk;
    worker->audit = options->audit;
    worker->reserved = options->reserved;
    worker->busy = options->busy;
    td_mailbox_init(&worker->mailbox, wake, worker);
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
    td_hub_deflate_from(worker->hub, worker->options->compression_bytes_min);
    r = td_accept_begin(worker);
    if (r < 0)
        goto fail;
    *ret_worker = worker;
    return 0;
fail:
    td_worker_free(worker);
    return r;
}

static void deliver_mail(struct td_worker *worker)
{
    struct td_list letters, *node;

    td_list_init(&letters);
    td_mailbox_take(&worker->mailbox, &letters);
    while ((node = td_list_pop(&letters))) {
        struct td_mail *mail = TD_CONTAINER_OF(node, struct td_mail, list);
        mail->deliver(worker, mail);
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
    td_accept_free_gone(worker);
    deliver_mail(worker);
    td_mailbox_done(&worker->mailbox);
    td_accept_end(worker);
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

void td_worker_abandon(struct td_worker *worker)
{
    atomic_store_explicit(&worker->abandoned, true, memory_order_release);
    td_loop_wake(worker->loop);
}

bool td_worker_has_ended(const struct td_worker *worker)
{
    return atomic_load_explicit(&worker->ended, memory_order_acquire);
}

uint64_t td_worker_turns(const struct td_worker *worker)
{
    return atomic_load_explicit(&worker->turns, memory_order_relaxed);
}

void td_worker_post(struct td_worker *worker, struct td_mail *mail)
{
    td_mailbox_put(&worker->mailbox, &mail->list);
}

void td_worker_wake(struct td_worker *worker)
{
    wake(worker);
}

void td_worker_configure(struct td_worker *worker, const struct td_edge_options *options)
{
    TD_ASSERT(options->generation > td_worker_generation(worker));
    (void)atomic_exchange(&worker->configured, options); /* an exchange, as in wake */
    td_loop_wake(worker->loop);
}

uint64_t td_worker_generation(const struct td_worker *worker)
{
    return atomic_load_explicit(&worker->generation, memory_order_acquire);
}

static bool has_other_options(const struct td_worker *worker)
{
    return atomic_load(&worker->configured) != worker->options;
}

static void renew_endpoints(struct td_worker *worker)
{
    for (uint32_t i = 0; i < worker->n_chunks * TD_SLAB_CHUNK; i++) {
        struct td_conn *conn = td_worker_conn(worker, i);
        if (conn)
            td_bound_renew(worker, conn);
    }
}

/* Between two turns nothing refers to the old options: what outlives a turn has copies, or references. */
static void take_up_options(struct td_worker *worker)
{
    const struct td_edge_options *options = atomic_load(&worker->configured);
    bool endpoints = options->endpoints != worker->options->endpoints;

    if (options->auth != worker->options->auth)
        td_token_cache_clear(worker->tokens);
    worker->options = options;
    if (endpoints)
        renew_endpoints(worker);
    atomic_store_explicit(&worker->generation, options->generation, memory_order_release);
}

static void handle(struct td_worker *worker, const struct td_io_event *event)
{
    if (event->tag & TD_LISTENER_TAG) {
        size_t i = (size_t)(event->tag & ~TD_LISTENER_TAG);
        if (i < worker->n_listeners)
            td_accept_from(worker, i);
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
    td_hub_tick(worker->hub, worker->now);
    worker->tick = (td_ticks)((worker->now - worker->_began) / (TD_NS_PER_S / TD_TICKS_PER_S)) + 1;
    if (atomic_load_explicit(&worker->stopping, memory_order_acquire) && !worker->draining) {
        worker->draining = true;
        worker->drain_began = worker->tick;
        for (size_t i = 0; i < worker->n_listeners; i++)
            td_accept_from(worker, i); /* who is connected already is told, not reset */
        td_accept_end(worker);
    }
    if (worker->tick == worker->swept)
        return;
    worker->swept = worker->tick;
    td_accept_tick(worker);
    td_worker_sweep(worker);
    show_hub_stat(worker);
}

/* A broadcast costs a send for each connection that it touches, however many events it brings.  So a worker whose broadcasts are
 * long does not begin one while a commit is under way that will bring more: it waits for that, for half of what its
 * last broadcast took at most, and then goes. */
#define BROADCAST_LONG_NS (TD_NS_PER_MS / 10)

static bool is_putting_off(const struct td_worker *worker)
{
    return worker->put_off_at != 0 && worker->put_off_at == td_journal_readable(worker->journal);
}

static void broadcast(struct td_worker *worker)
{
    td_ns now = td_clock_ns();
    uint64_t readable = td_journal_readable(worker->journal);
    bool due = td_hub_is_due(worker->hub);

    if (due && worker->put_off_at == 0 && worker->broadcast_ns >= BROADCAST_LONG_NS &&
        td_journal_head(worker->journal) > readable) {
        worker->put_off_at = readable;
        worker->put_off_until = now + worker->broadcast_ns / 2;
        return;
    }
    if (is_putting_off(worker) && now < worker->put_off_until)
        return;
    worker->put_off_at = 0;
    td_hub_advance(worker->hub);
    if (!due)
        return;
    td_ns over = td_clock_ns();
    worker->broadcast_ns = over - now;
    if (worker->sample_began != 0 && td_hub_head(worker->hub) >= worker->sample_seq) {
        td_histogram_add(&worker->stat.delivery, over - worker->sample_began);
        worker->sample_began = 0;
    }
}

static bool has_work(const struct td_worker *worker)
{
    return atomic_load(&worker->woken) || td_hub_has_again(worker->hub) ||
           td_hub_next_due(worker->hub) <= td_clock_ns() ||
           (td_hub_is_due(worker->hub) && !is_putting_off(worker)) ||
           !td_list_empty(&worker->dirty) || !td_list_empty(&worker->polls) ||
           has_other_options(worker) ||
           (atomic_load_explicit(&worker->stopping, memory_order_acquire) && !worker->draining);
}

static int wait_ms(const struct td_worker *worker, int timeout_ms)
{
    /* The sweep wants a turn each tick while there is someone to sweep. */
    int tick_ms = 1000 / TD_TICKS_PER_S;

    td_ns due = td_hub_next_due(worker->hub), now = td_clock_ns();
    if (due != UINT64_MAX)
        tick_ms = due > now ? TD_MIN(tick_ms, 1 + (int)((due - now) / TD_NS_PER_MS)) : 0;
    if (is_putting_off(worker))
        tick_ms = 1 + (int)(worker->broadcast_ns / 2 / TD_NS_PER_MS);
    else if (worker->n_conns == 0 && !worker->draining && !worker->listening_paused &&
             worker->log_left_out == 0)
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
    atomic_fetch_add_explicit(&worker->turns, 1, memory_order_relaxed);
    if (atomic_exchange(&worker->woken, false)) /* before anything is looked at */
        td_list_splice(&worker->polls, &worker->cold_polls);
    if (has_other_options(worker))
        take_up_options(worker);
    look_at_clock(worker);
    deliver_mail(worker);
    for (int i = 0; i < n; i++)
        handle(worker, &events[i]);
    release_publishes(worker);
    flush_dirty(worker);
    broadcast(worker);
    td_hub_run(worker->hub);
    td_polls_run(worker);
    flush_dirty(worker);
    td_accept_free_gone(worker);
    bool over = worker->draining && worker->n_conns == 0;
    if (over)
        atomic_store_explicit(&worker->ended, true, memory_order_release);
    return !over;
}
