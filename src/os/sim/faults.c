/* SPDX-License-Identifier: Apache-2.0 */
/* The faults of the simulated disk, and the death of the process. */
#include "base/assert.h"
#include "os/sim/disk.h"

static struct {
    bool dead;
    struct td_sim_disk_faults faults;
} state;

void td_sim_faults_reset(void)
{
    memset(&state, 0, sizeof state);
}

/* ---- dying ---- */

bool td_sim_dead(void)
{
    return state.dead;
}

void td_sim_boot(void)
{
    TD_ASSERT(td_sim_files_open() == 0);
    state.dead = false;
}

void td_sim_disk_kill(void)
{
    state.dead = true;
    state.faults.die_in = 0;
    td_sim_files_kill();
}

void td_sim_disk_crash(void)
{
    td_sim_disk_kill();
    td_sim_names_crash();
}

static bool countdown(unsigned *count)
{
    return *count > 0 && --*count == 0;
}

bool td_sim_dies(bool *ret_done)
{
    if (!countdown(&state.faults.die_in))
        return false;
    state.dead = true;
    *ret_done = td_rng_one_in(td_sim_rng(TD_SIM_DISK), 2);
    return true;
}

/* ---- failing ---- */

void td_sim_disk_set(const struct td_sim_disk_faults *faults)
{
    state.faults = *faults;
}

struct td_sim_disk_faults td_sim_disk_get(void)
{
    return state.faults;
}

bool td_sim_write_fails(void)
{
    return countdown(&state.faults.fail_write_in);
}

bool td_sim_read_fails(void)
{
    return countdown(&state.faults.fail_read_in);
}

bool td_sim_sync_fails(void)
{
    return countdown(&state.faults.fail_sync_in);
}

uint64_t td_sim_end_max(const struct td_sim_inode *inode)
{
    uint64_t used = td_sim_disk_used_bytes(), space = state.faults.space_bytes;

    if (space == 0)
        return TD_SIM_FILE_BYTES_MAX;
    return inode->blocks + (space > used ? (space - used) / TD_SIM_BLOCK * TD_SIM_BLOCK : 0);
}
