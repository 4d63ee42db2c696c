/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop of the simulated machine: tells edges, never waits. */
#include "os/loop.h"
#include "base/assert.h"
#include "os/clock.h"
#include "os/sim/wire.h"
#include <errno.h>

struct td_loop {
    bool dozing, woken;
    td_ns deadline; /* of the sleep in td_loop_wait */
    struct td_loop *next;
};

static struct td_loop *loops;

int td_loop_new(struct td_loop **ret_loop)
{
    struct td_loop *loop = calloc(1, sizeof *loop);

    TD_ASSERT(loop);
    loop->next = loops;
    loops = loop;
    *ret_loop = loop;
    return 0;
}

void td_loop_free(struct td_loop *loop)
{
    struct td_loop **at = &loops;
    struct td_sim_socket **sockets;
    size_t n = td_sim_sockets(&sockets);

    if (!loop)
        return;
    for (size_t i = 0; i < n; i++)
        if (sockets[i]->loop == loop)
            sockets[i]->loop = NULL;
    while (*at != loop)
        at = &(*at)->next;
    *at = loop->next;
    free(loop);
}

void td_sim_loops_reset(void)
{
    while (loops)
        td_loop_free(loops);
}

int td_loop_add(struct td_loop *loop, int socket, uint64_t tag)
{
    struct td_sim_socket *it = td_sim_socket_of(socket);

    TD_ASSERT(it->conn && !it->loop);
    it->loop = loop;
    it->tag = tag;
    /* Registering tells at once what is true. */
    it->pending = td_sim_socket_state(it);
    return 0;
}

int td_loop_add_listener(struct td_loop *loop, int socket, uint64_t tag)
{
    struct td_sim_socket *it = td_sim_socket_of(socket);

    TD_ASSERT(it->listens && !it->loop);
    it->loop = loop;
    it->tag = tag;
    return 0;
}

int td_loop_pause(struct td_loop *loop, int socket, uint64_t tag, bool paused)
{
    struct td_sim_socket *it = td_sim_socket_of(socket);

    TD_ASSERT(it->listens && it->loop == loop);
    it->paused = paused;
    it->tag = tag;
    return 0;
}

void td_loop_doze(struct td_loop *loop)
{
    loop->dozing = true;
}

void td_loop_undoze(struct td_loop *loop)
{
    loop->dozing = false;
}

void td_loop_wake(struct td_loop *loop)
{
    /* Who does not doze looks by itself: nothing is kept for it. */
    if (loop->dozing)
        loop->woken = true;
}

/* The events of a socket that a wait would tell now. */
static unsigned events_of(const struct td_sim_socket *socket)
{
    if (!socket->listens)
        return socket->pending;
    return !socket->paused && td_sim_backlog(socket) ? TD_IO_READ : 0;
}

int td_loop_wait(struct td_loop *loop, struct td_io_event *ret_events, int max, int timeout_ms)
{
    struct td_rng *rng = td_sim_rng(TD_SIM_NET);
    struct td_sim_socket **sockets;
    size_t n_sockets = td_sim_sockets(&sockets);
    size_t first = n_sockets ? (size_t)td_rng_below(rng, n_sockets) : 0;
    int n = 0;

    TD_ASSERT(max > 0);
    for (size_t i = 0; i < n_sockets && n < max; i++) {
        struct td_sim_socket *socket = sockets[(first + i) % n_sockets];
        unsigned what = socket->loop == loop ? events_of(socket) : 0;

        if (what == 0)
            continue;
        /* The kernel tells what is true, not only what has become so. */
        if (!socket->listens && td_rng_one_in(rng, 4))
            what |= td_sim_socket_state(socket);
        socket->pending = 0;
        ret_events[n++] = (struct td_io_event){socket->tag, what};
    }
    if (n == 0 && !loop->woken && timeout_ms != 0) {
        /* Asleep from here on, dozing as it was, until td_sim_loop_ready. */
        loop->deadline =
            timeout_ms < 0 ? UINT64_MAX : td_clock_ns() + (uint64_t)timeout_ms * TD_NS_PER_MS;
        return 0;
    }
    loop->deadline = td_clock_ns();
    loop->dozing = loop->woken = false;
    return n;
}

bool td_sim_loop_ready(const struct td_loop *loop)
{
    struct td_sim_socket **sockets;
    size_t n_sockets = td_sim_sockets(&sockets);

    if (loop->woken || loop->deadline <= td_clock_ns())
        return true;
    for (size_t i = 0; i < n_sockets; i++)
        if (sockets[i]->loop == loop && events_of(sockets[i]) != 0)
            return true;
    return false;
}

td_ns td_sim_loop_deadline(const struct td_loop *loop)
{
    return loop->deadline;
}

int td_loop_fd(const struct td_loop *loop)
{
    return -1;
}
