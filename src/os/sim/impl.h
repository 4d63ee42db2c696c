/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the simulated machine know of each other. */
#pragma once

#include "os/sim/sim.h"

/* Each part draws from its own stream, so that a change in one does not change the run of another. */
enum td_sim_stream {
    TD_SIM_RANDOM,
    TD_SIM_DISK,
    TD_SIM_NET,
    TD_SIM_STREAMS,
};

struct td_rng *td_sim_rng(enum td_sim_stream stream);

void td_sim_disk_reset(void);
void td_sim_net_reset(void);
void td_sim_loops_reset(void);
/* Lets arrive what is due on all connections. */
void td_sim_net_pump(void);
