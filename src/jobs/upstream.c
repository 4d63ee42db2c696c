/* SPDX-License-Identifier: Apache-2.0 */
/* The transfers under way: served, waited for, ended in time. */
#include "jobs/upstream.h"
#include "base/assert.h"
#include "base/err.h"
#include "jobs/upstream_impl.h"
#include "os/clock.h"
#include <errno.h>

#define TRANSFERS_DEFAULT 256u
#define CONNECTIONS_KEPT  16L
#define NEVER             UINT64_MAX
/* A wait without end is one that is repeated. */
#define WAIT_MAX_MS 60000

int td_upstream_new(const struct td_upstream_options *options, struct td_upstream **ret_upstream)
{
    struct td_upstream *upstream;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return TD_EUNAVAILABLE;
    upstream = calloc(1, sizeof(*upstream));
    if (!upstream) {
        curl_global_cleanup();
        return -ENOMEM;
    }
    td_list_init(&upstream->transfers);
    td_buf_init(&upstream->spare, TD_TRANSFER_PENDING_MAX);
    upstream->transfers_max = options->transfers_max ? options->transfers_max : TRANSFERS_DEFAULT;
    upstream->multi = curl_multi_init();
    upstream->ca_file = options->ca_file ? strdup(options->ca_file) : NULL;
    if (!upstream->multi || (options->ca_file && !upstream->ca_file) ||
        curl_multi_setopt(upstream->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT) != CURLM_OK) {
        td_upstream_free(upstream);
        return -ENOMEM;
    }
    *ret_upstream = upstream;
    return 0;
}

void td_transfer_free(struct td_transfer *transfer)
{
    struct td_upstream *upstream = transfer->upstream;

    TD_ASSERT(upstream->n_transfers > 0);
    td_list_remove(&transfer->node);
    upstream->n_transfers--;
    if (upstream->current == transfer)
        upstream->current = NULL;
    /* One that is not finished: its connection is closed here. */
    curl_multi_remove_handle(upstream->multi, transfer->easy);
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    td_buf_done(&transfer->body);
    td_buf_done(&transfer->pending);
    free(transfer);
}

void td_upstream_free(struct td_upstream *upstream)
{
    if (!upstream)
        return;
    while (!td_list_empty(&upstream->transfers))
        td_transfer_free(TD_CONTAINER_OF(upstream->transfers.next, struct td_transfer, node));
    curl_multi_cleanup(upstream->multi);
    td_buf_done(&upstream->spare);
    free(upstream->waits);
    free(upstream->ca_file);
    free(upstream);
    curl_global_cleanup();
}

unsigned td_upstream_transfers(const struct td_upstream *upstream)
{
    return upstream->n_transfers;
}

/* --- time --- */

static td_ns after(td_ns from, uint64_t ms)
{
    return ms ? from + ms * TD_NS_PER_MS : NEVER;
}

/* When the transfer is to be ended by us.  The connection's own limit is libcurl's. */
static td_ns deadline_of(const struct td_transfer *transfer)
{
    const struct td_transfer_options *options = &transfer->options;
    td_ns total = after(transfer->started, options->total_ms);
    td_ns next = transfer->last_byte ? after(transfer->last_byte, options->idle_ms)
                                     : after(transfer->started, options->first_byte_ms);

    if (transfer->released_until)
        return transfer->released_until;
    return TD_MIN(total, next);
}

int td_upstream_wait(struct td_upstream *upstream, struct td_poll_item *items, size_t n,
                     int timeout_ms)
{
    td_ns now = td_clock_ns(), deadline = NEVER;
    int ready = 0;

    for (size_t i = 0; i < n; i++)
        items[i].ready = false;
    if (n > upstream->waits_cap) {
        struct curl_waitfd *more = realloc(upstream->waits, n * sizeof(*more));
        if (!more)
            return 0;
        upstream->waits = more;
        upstream->waits_cap = n;
    }
    for (size_t i = 0; i < n; i++)
        upstream->waits[i] = (struct curl_waitfd){
            .fd = items[i].fd < 0 ? CURL_SOCKET_BAD : items[i].fd, .events = CURL_WAIT_POLLIN};
    for (struct td_list *at = upstream->transfers.next; at != &upstream->transfers; at = at->next)
        deadline = TD_MIN(deadline, deadline_of(TD_CONTAINER_OF(at, struct td_transfer, node)));

    uint64_t wait_ms = timeout_ms < 0 ? WAIT_MAX_MS : TD_MIN(timeout_ms, WAIT_MAX_MS);
    if (deadline != NEVER)
        wait_ms = deadline <= now
                      ? 0
                      : TD_MIN(wait_ms, (deadline - now + TD_NS_PER_MS - 1) / TD_NS_PER_MS);
    if (curl_multi_poll(upstream->multi, upstream->waits, (unsigned)n, (int)wait_ms, NULL) !=
        CURLM_OK)
        return 0;
    for (size_t i = 0; i < n; i++) {
        items[i].ready = items[i].fd >= 0 && upstream->waits[i].revents != 0;
        ready += items[i].ready;
    }
    return ready;
}

/* --- ending --- */

static const char *say_timeout(struct td_transfer *transfer)
{
    const struct td_transfer_options *options = &transfer->options;
    td_ns now = td_clock_ns();

    if (now >= after(transfer->started, options->total_ms))
        snprintf(transfer->error, sizeof(transfer->error),
                 "the whole answer was not there after %g s", (double)options->total_ms / 1000);
    else if (!transfer->last_byte)
        snprintf(transfer->error, sizeof(transfer->error), "no answer came within %g s",
                 (double)options->first_byte_ms / 1000);
    else
        snprintf(transfer->error, sizeof(transfer->error), "nothing more came for %g s",
                 (double)options->idle_ms / 1000);
    return transfer->error;
}

static const char *say(struct td_transfer *transfer, const char *what)
{
    snprintf(transfer->error, sizeof(transfer->error), "%s: %s", what,
             transfer->curl_error[0] ? transfer->curl_error : curl_easy_strerror(transfer->code));
    return transfer->error;
}

static bool is_connected(const struct td_transfer *transfer)
{
    curl_off_t ready_us = 0; /* when the request could be sent: behind TLS */

    curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
    return ready_us > 0;
}

static struct td_transfer_end end_of(struct td_transfer *transfer)
{
    struct td_transfer_end end = {
        .status = td_transfer_status(transfer), .connected = is_connected(transfer), .error = ""};

    if (!transfer->finished) {
        end.outcome = TD_TRANSFER_TIMEOUT;
        end.error = say_timeout(transfer);
    } else if (transfer->code == CURLE_OK) {
        end.outcome = TD_TRANSFER_DONE;
    } else if (transfer->too_large) {
        end.outcome = TD_TRANSFER_TOO_LARGE;
        snprintf(transfer->error, sizeof(transfer->error), "the answer is longer than %zu bytes",
                 transfer->options.bytes_max);
        end.error = transfer->error;
    } else if (transfer->code == CURLE_OPERATION_TIMEDOUT) {
        end.outcome = TD_TRANSFER_TIMEOUT;
        snprintf(transfer->error, sizeof(transfer->error), "no connection was made within %g s",
                 (double)transfer->options.connect_ms / 1000);
        end.error = transfer->error;
    } else if (!end.connected) {
        end.outcome = TD_TRANSFER_UNREACHABLE;
        end.error = say(transfer, "no connection could be made");
    } else {
        end.outcome = TD_TRANSFER_BROKEN;
        end.error = say(transfer, "the connection ended before the answer did");
    }
    return end;
}

static void end_transfer(struct td_transfer *transfer)
{
    struct td_transfer_end end = end_of(transfer);

    if (transfer->options.ended)
        transfer->options.ended(transfer, &end, transfer->options.arg);
    td_transfer_free(transfer);
}

/* --- serving --- */

/* Calls back with what has come.  False when the transfer is gone. */
static bool deliver(struct td_transfer *transfer)
{
    struct td_upstream *upstream = transfer->upstream;
    struct td_buf bytes = transfer->pending;

    if (bytes.len > 0 && transfer->options.bytes) {
        /* The bytes stay where they are if the callback ends the transfer, and its memory serves the next. */
        transfer->pending = upstream->spare;
        upstream->spare = bytes;
        upstream->current = transfer;
        transfer->options.bytes(transfer, td_buf_slice(&bytes), transfer->options.arg);
        td_buf_reset(&upstream->spare);
        if (!upstream->current)
            return false;
        upstream->current = NULL;
    }
    td_buf_reset(&transfer->pending);
    return true;
}

static void turn(struct td_transfer *transfer)
{
    if (!deliver(transfer))
        return;
    if (transfer->paused) {
        transfer->paused = false;
        transfer->code = curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
        transfer->finished = transfer->code != CURLE_OK;
    }
    if (transfer->finished || td_clock_ns() >= deadline_of(transfer))
        end_transfer(transfer);
}

static void take_results(struct td_upstream *upstream)
{
    struct CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(upstream->multi, &left))) {
        char *transfer = NULL;

        TD_ASSERT(message->msg == CURLMSG_DONE);
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        ((struct td_transfer *)(void *)transfer)->finished = true;
        ((struct td_transfer *)(void *)transfer)->code = message->data.result;
    }
}

void td_upstream_serve(struct td_upstream *upstream)
{
    struct td_list todo;
    struct td_list *node;
    int running;

    TD_ASSERT(!upstream->current);
    TD_EXPECT(curl_multi_perform(upstream->multi, &running) == CURLM_OK);
    take_results(upstream);
    /* Callbacks may start and cancel transfers, any of them: each is taken off the list before its turn. */
    td_list_init(&todo);
    td_list_splice(&todo, &upstream->transfers);
    while ((node = td_list_pop(&todo))) {
        td_list_append(&upstream->transfers, node);
        turn(TD_CONTAINER_OF(node, struct td_transfer, node));
    }
}
