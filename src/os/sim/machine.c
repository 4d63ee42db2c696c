/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated machine: clocks and randomness, both from the seed. */
#include "base/assert.h"
#include "os/clock.h"
#include "os/random.h"
#include "os/sim/impl.h"

/* 2026-01-01T00:00:00Z. */
#define WALL_BASE_MS INT64_C(1767225600000)

static struct {
    td_ns now;
    int64_t jump_ms;
    struct td_rng streams[TD_SIM_STREAMS];
} machine;

void td_sim_reset(uint64_t seed)
{
    td_sim_disk_reset();
    td_sim_net_reset();
    td_sim_loops_reset();
    /* Not zero: a clock that starts at zero hides "never" mistaken for "at the beginning". */
    machine.now = TD_NS_PER_S;
    machine.jump_ms = 0;
    for (unsigned i = 0; i < TD_SIM_STREAMS; i++)
        td_rng_init(&machine.streams[i], seed * TD_SIM_STREAMS + i);
}

void td_sim_advance(td_ns ns)
{
    machine.now += ns;
    td_sim_net_pump();
}

void td_sim_jump_wall(int64_t ms)
{
    machine.jump_ms += ms;
}

struct td_rng *td_sim_rng(enum td_sim_stream stream)
{
    return &machine.streams[stream];
}

td_ns td_clock_ns(void)
{
    TD_ASSERT(machine.now != 0); /* td_sim_reset comes first */
    return machine.now;
}

td_unix_ms td_clock_unix_ms(void)
{
    int64_t ms = WALL_BASE_MS + (int64_t)(td_clock_ns() / TD_NS_PER_MS) + machine.jump_ms;

    return ms > 0 ? (td_unix_ms)ms : 0;
}

void td_random_bytes(void *ret_bytes, size_t len)
{
    unsigned char *at = ret_bytes;

    while (len > 0) {
        uint64_t word = td_rng_next(td_sim_rng(TD_SIM_RANDOM));
        size_t n = TD_MIN(len, sizeof word);

        memcpy(at, &word, n);
        at += n;
        len -= n;
    }
}
