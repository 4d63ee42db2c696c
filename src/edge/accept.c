/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting: the listeners, and the slab in which connections lie. */
#include "edge/accept.h"
#include "base/assert.h"
#include "base/log.h"
#include "edge/admission.h"
#include "edge/conn_log.h"
#include "os/file.h"
#include <errno.h>

#define ACCEPTS_MAX 256 /* of one listener in a turn */
#define REFUSED_MAX 256 /* connections above the limit that are answered before they are closed */

int td_accept_begin(struct td_worker *worker)
{
    for (size_t i = 0; i < worker->n_listeners; i++) {
        int r = td_loop_add_listener(worker->loop, worker->listeners[i], TD_LISTENER_TAG | i);
        if (r < 0)
            return r;
    }
    return 0;
}

void td_accept_end(struct td_worker *worker)
{
    for (size_t i = 0; i < worker->n_listeners; i++)
        td_net_close(worker->listeners[i]);
    worker->n_listeners = worker->n_tls_listeners = 0;
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

void td_accept_free_gone(struct td_worker *worker)
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

static void log_connect(const struct td_conn *conn)
{
    struct td_log_line line;

    if (!td_log_begin(&line, TD_LOG_DEBUG, "accept"))
        return;
    td_conn_log(&line, conn);
    td_log_end(&line);
}

/* Takes over socket and session, unless it fails. */
static int begin_conn(struct td_worker *worker, int socket, struct td_tls *tls,
                      const struct td_addr *peer)
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
        .tls = tls,
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
        .commands = {worker->tick, worker->options->limits.commands_per_s * 2},
        .publishes = {worker->tick, worker->options->publishes_per_s * 2      },
        .writable = true,
        .over_limit = over_limit,
    };
    td_subscriber_init(&conn->subscriber, TD_WIRE_NONE);
    td_list_init(&conn->dirty);
    worker->n_conns++;
    TD_COUNT(worker, accepted);
    TD_COUNT(worker, connections);
    td_admission_accepted(worker, conn);
    log_connect(conn);
    td_conn_read(worker, conn);
    return 0;
}

static void pause_listening(struct td_worker *worker, bool paused)
{
    if (worker->listening_paused == paused)
        return;
    for (size_t i = 0; i < worker->n_listeners; i++)
        if (td_loop_pause(worker->loop, worker->listeners[i], TD_LISTENER_TAG | i, paused) < 0)
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
    TD_COUNT(worker, limited[TD_LIMITED_DESCRIPTORS]);
    worker->spare = td_file_open("/dev/null", TD_FILE_READ);
    if (socket < 0)
        pause_listening(worker, true);
}

/* A reload may have left TLS listeners without a certificate: nobody can be served there. */
static int begin_session(struct td_worker *worker, size_t i, int socket, struct td_tls **ret_tls)
{
    *ret_tls = NULL;
    if (i < worker->n_listeners - worker->n_tls_listeners)
        return 0;
    return worker->options->tls ? td_tls_new(worker->options->tls, socket, ret_tls) : -ENOENT;
}

void td_accept_from(struct td_worker *worker, size_t i)
{
    int listener = worker->listeners[i];

    for (int n = 0; n < ACCEPTS_MAX; n++) {
        struct td_tls *tls;
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
        int r = begin_session(worker, i, socket, &tls);
        if (r == 0)
            r = begin_conn(worker, socket, tls, &peer);
        if (r < 0) {
            TD_COUNT(worker, limited[TD_LIMITED_CONNECTIONS]);
            td_tls_free(tls);
            td_net_close(socket);
        }
    }
}

void td_accept_tick(struct td_worker *worker)
{
    pause_listening(worker, false);
    td_conn_log_tick(worker);
    if (worker->spare < 0)
        worker->spare = td_file_open("/dev/null", TD_FILE_READ);
}
