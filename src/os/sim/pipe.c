/* SPDX-License-Identifier: Apache-2.0 */
/* One direction of a simulated connection: bytes that travel in pieces. */
#include "base/assert.h"
#include "os/clock.h"
#include "os/sim/wire.h"

static struct td_sim_net_faults net;

void td_sim_net_set(const struct td_sim_net_faults *faults)
{
    net = *faults;
}

td_ns td_sim_wire_delay(void)
{
    struct td_rng *rng = td_sim_rng(TD_SIM_NET);
    td_ns max = net.delay_max ? net.delay_max : 5 * TD_NS_PER_MS;

    /* Mostly near, at times far. */
    return 1 + td_rng_below(rng, td_rng_one_in(rng, 4) ? max : max / 16 + 1);
}

unsigned td_sim_wire_sockets_max(void)
{
    return net.sockets_max;
}

size_t td_sim_wire_room(void)
{
    return net.room;
}

size_t td_sim_pipe_room(const struct td_sim_pipe *pipe)
{
    uint64_t held = pipe->written - pipe->arrived;

    return held < pipe->capacity ? pipe->capacity - (size_t)held : 0;
}

size_t td_sim_pipe_write(struct td_sim_pipe *pipe, const char *bytes, size_t len)
{
    size_t held = (size_t)(pipe->written - pipe->read);

    TD_ASSERT(!pipe->fin);
    len = TD_MIN(len, td_sim_pipe_room(pipe));
    if (len == 0)
        return 0;
    if (held + len > pipe->bytes_cap) {
        pipe->bytes_cap = TD_MAX(held + len, pipe->bytes_cap * 2);
        pipe->bytes = realloc(pipe->bytes, pipe->bytes_cap);
        TD_ASSERT(pipe->bytes);
    }
    memcpy(pipe->bytes + held, bytes, len);
    pipe->written += len;
    return len;
}

size_t td_sim_pipe_read(struct td_sim_pipe *pipe, char *ret_bytes, size_t len)
{
    size_t left = (size_t)(pipe->written - pipe->read);

    len = (size_t)TD_MIN((uint64_t)len, pipe->arrived - pipe->read);
    if (len == 0)
        return 0;
    memcpy(ret_bytes, pipe->bytes, len);
    memmove(pipe->bytes, pipe->bytes + len, left - len);
    pipe->read += len;
    return len;
}

static bool arrive(struct td_sim_pipe *pipe, td_ns now)
{
    size_t n = 0;

    while (n < pipe->n_pieces && pipe->pieces[n].at <= now)
        pipe->arrived = pipe->pieces[n++].end;
    if (n > 0) {
        pipe->n_pieces -= n;
        memmove(pipe->pieces, pipe->pieces + n, pipe->n_pieces * sizeof *pipe->pieces);
    }
    if (pipe->fin_launched && !pipe->fin_arrived && pipe->n_pieces == 0 && pipe->fin_at <= now) {
        pipe->fin_arrived = true;
        n++;
    }
    return n > 0;
}

static void launch(struct td_sim_pipe *pipe, td_ns now)
{
    struct td_rng *rng = td_sim_rng(TD_SIM_NET);
    size_t piece_max = net.piece_max ? net.piece_max : 4 * TD_KIB;

    while (pipe->launched < pipe->written && pipe->launched - pipe->read < pipe->window) {
        uint64_t room =
            TD_MIN(pipe->window - (pipe->launched - pipe->read), pipe->written - pipe->launched);
        uint64_t len = 1 + td_rng_below(rng, TD_MIN(room, piece_max));

        if (pipe->n_pieces == pipe->pieces_cap) {
            pipe->pieces_cap = pipe->pieces_cap ? pipe->pieces_cap * 2 : 8;
            pipe->pieces = realloc(pipe->pieces, pipe->pieces_cap * sizeof *pipe->pieces);
            TD_ASSERT(pipe->pieces);
        }
        pipe->launched += len;
        pipe->last_at = TD_MAX(pipe->last_at, now + td_sim_wire_delay());
        pipe->pieces[pipe->n_pieces++] = (struct td_sim_piece){pipe->launched, pipe->last_at};
    }
    if (pipe->fin && !pipe->fin_launched && pipe->launched == pipe->written) {
        pipe->fin_launched = true;
        pipe->fin_at = TD_MAX(pipe->last_at, now + td_sim_wire_delay());
    }
}

bool td_sim_pipe_pump(struct td_sim_pipe *pipe)
{
    td_ns now = td_clock_ns();
    bool arrived = arrive(pipe, now);

    launch(pipe, now);
    return arrived;
}

td_ns td_sim_pipe_next(const struct td_sim_pipe *pipe)
{
    if (pipe->n_pieces > 0)
        return pipe->pieces[0].at;
    return pipe->fin_launched && !pipe->fin_arrived ? pipe->fin_at : UINT64_MAX;
}

void td_sim_pipe_drop(struct td_sim_pipe *pipe)
{
    pipe->written = pipe->launched;
    pipe->fin = false;
}

void td_sim_pipe_done(struct td_sim_pipe *pipe)
{
    free(pipe->bytes);
    free(pipe->pieces);
    memset(pipe, 0, sizeof *pipe);
}
