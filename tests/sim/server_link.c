/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection: bytes that wait to go, bytes that have come, and whether its end has a cause. */
#include "base/assert.h"
#include "os/clock.h"
#include "server_world.h"
#include <errno.h>

#define LINK_BYTES_MAX (64 * TD_MIB)
/* A connection between requests is ended after request_timeout_s; a sweep is a second. */
#define IDLE_EXCUSE_NS (20 * TD_NS_PER_S)

bool srv_troubled(const struct srv_world *world)
{
    return world->faults_on || world->draining || td_clock_ns() < world->trouble_until ||
           !world->journal || td_journal_health(world->journal) != 0;
}

bool srv_link_open(struct srv_world *world, struct srv_link *link)
{
    TD_ASSERT(link->client == 0);
    int client = td_sim_connect("127.0.0.1:8000");
    if (client < 0)
        return false;
    *link = (struct srv_link){.client = client, .boot = world->boot, .used = td_clock_ns()};
    td_buf_init(&link->out, LINK_BYTES_MAX);
    td_buf_init(&link->in, LINK_BYTES_MAX);
    link->excused = srv_troubled(world);
    if (!world->final && td_rng_one_in(&world->rng, 4))
        td_sim_client_window(client, 1 + (size_t)td_rng_below(&world->rng, 3000));
    return true;
}

bool srv_link_stalls(const struct srv_link *link)
{
    return link->stalled_until > td_clock_ns();
}

bool srv_link_is_dead(struct srv_world *world, const struct srv_link *link)
{
    return link->client != 0 && link->boot != world->boot &&
           (world->final || td_rng_one_in(&world->rng, 20));
}

static void receive(struct srv_world *world, struct srv_link *link)
{
    while (!link->ended) {
        size_t cap = 1 + (size_t)td_rng_below(&world->rng, 16384);

        TD_ASSERT(td_buf_reserve(&link->in, cap) == 0);
        int64_t n = td_sim_client_recv(link->client, link->in.ptr + link->in.len, cap);
        if (n <= 0) {
            link->ended = n != -EAGAIN;
            return;
        }
        link->in.len += (size_t)n;
        link->used = td_clock_ns();
        if (!world->final && td_rng_one_in(&world->rng, 8))
            return; /* the rest another time */
    }
}

void srv_link_pump(struct srv_world *world, struct srv_link *link)
{
    if (link->client == 0 || srv_link_stalls(link))
        return;
    if (link->partitioned)
        td_sim_client_partition(link->client, false);
    link->partitioned = false;
    receive(world, link);
    while (link->out.len > 0 && !link->ended) {
        size_t len =
            world->final ? link->out.len : 1 + (size_t)td_rng_below(&world->rng, link->out.len);
        int64_t n = td_sim_client_send(link->client, link->out.ptr, len);

        if (n < 0) {
            /* What came before the reset may still be read. */
            if (n != -EAGAIN)
                receive(world, link);
            link->ended |= n != -EAGAIN;
            return;
        }
        td_buf_consume(&link->out, (size_t)n);
        link->used = td_clock_ns();
    }
}

void srv_link_close(struct srv_link *link, bool reset)
{
    if (link->client == 0)
        return;
    if (reset)
        td_sim_client_reset(link->client);
    else
        td_sim_client_close(link->client);
    td_buf_done(&link->out);
    td_buf_done(&link->in);
    *link = (struct srv_link){0};
}

void srv_link_judge(struct srv_world *world, struct srv_link *link, const char *who)
{
    bool idle = td_clock_ns() - link->used >= IDLE_EXCUSE_NS;

    TD_MUST(link->excused || link->boot != world->boot || world->draining || world->faults_on ||
                idle,
            "the server ended the connection of a %s without cause", who);
}
