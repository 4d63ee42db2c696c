/* SPDX-License-Identifier: Apache-2.0 */
/* The worlds `journal` and `damage`: random options, publishers, readers, trims, faults and restarts of one log. */
#include "base/assert.h"
#include "base/err.h"
#include "journal_world.h"
#include "os/clock.h"
#include <errno.h>

/* More than this is not trimmed in one go: then the keeper does not rest. */
#define KEEP_MAX 20000

void sim_observe(struct sim_journal *sim)
{
    struct td_model *model = &sim->model;
    struct td_journal_stat stat;
    bool fast = sim->options.durability == TD_DURABILITY_FAST;
    uint64_t readable = td_journal_readable(sim->journal);

    td_journal_stat(sim->journal, &stat);
    TD_MUST(stat.durable <= stat.head && readable == (fast ? stat.head : stat.durable),
            "head %llu, durable %llu, readable %llu", (unsigned long long)stat.head,
            (unsigned long long)stat.durable, (unsigned long long)readable);
    TD_MUST(stat.horizon >= model->horizon, "the horizon went back from %llu to %llu",
            (unsigned long long)model->horizon, (unsigned long long)stat.horizon);
    TD_MUST(stat.horizon <= stat.durable || sim->damaged, "trimmed up to %llu, durable is %llu",
            (unsigned long long)stat.horizon, (unsigned long long)stat.durable);
    sim_observe_trims(sim);
    model->head = stat.head;
    model->horizon = stat.horizon;
    model->horizon_max = TD_MAX(model->horizon_max, stat.horizon);
    model->promised = TD_MAX(model->promised, readable);
    model->synced = TD_MAX(model->synced, stat.durable);
}

static int commit(struct sim_journal *sim)
{
    bool armed = td_sim_disk_get().fail_sync_in > 0;
    int answer = td_journal_commit_step(sim->journal);

    sim->sync_failed |= armed && td_sim_disk_get().fail_sync_in == 0;
    if (answer != 0)
        td_world_say("commit: %d, durable %llu", answer,
                     (unsigned long long)td_journal_durable(sim->journal));
    TD_MUST(answer >= 0 || sim->sync_failed || td_sim_dead(), "commit: %s without cause",
            td_err_name(answer));
    return answer;
}

static int keep_once(struct sim_journal *sim)
{
    bool armed = td_sim_disk_get().fail_sync_in > 0;
    int answer = td_journal_keep_step(sim->journal);

    sim->sync_failed |= armed && td_sim_disk_get().fail_sync_in == 0;
    sim->blurred |= sim->faults_on;
    sim_observe_trims(sim);
    sim->littered |= sim->faults_on || sim->sync_failed;
    TD_MUST(answer >= 0 || sim->faults_on || sim->sync_failed || td_sim_dead() || sim->damaged ||
                td_clock_ns() < sim->faults_until_ns,
            "keep: %s without cause", td_err_name(answer));
    return answer;
}

void sim_keep(struct sim_journal *sim)
{
    unsigned turns = 0;

    while (keep_once(sim) > 0)
        TD_MUST(++turns < KEEP_MAX, "the keeper does not rest");
    sim_observe(sim);
}

/* A segment is two files, the log has a handful of its own. */
static void check_files(const struct sim_journal *sim, uint64_t segments)
{
    const char *path;
    uint64_t size;
    size_t files = 0;

    while (td_sim_disk_file(files, &path, &size))
        files++;
    TD_MUST(sim->littered || files <= 2 * segments + 6, "%zu files for %llu segments", files,
            (unsigned long long)segments);
}

/* With nobody holding on to anything, what is open is what the segments need. */
static void tidy(struct sim_journal *sim)
{
    struct td_journal_stat stat;

    while (commit(sim) > 0)
        continue;
    /* What the first round of the keeper takes away goes in the second, when all have passed it. */
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < SIM_HANDLES; i++)
            sim_quiesce(sim, i, td_rng_one_in(&sim->rng, 2));
        sim_keep(sim);
    }
    td_journal_stat(sim->journal, &stat);
    TD_MUST(td_sim_maps_open() <= 2 * stat.segments + 2, "%zu mappings for %llu segments",
            td_sim_maps_open(), (unsigned long long)stat.segments);
    if (sim->faults_on || sim->sync_failed || sim->damaged || td_sim_dead() ||
        td_clock_ns() < sim->faults_until_ns)
        return;
    check_files(sim, stat.segments);
    TD_MUST(td_sim_files_open() <= 4, "%zu files are open", td_sim_files_open());
    for (size_t i = 0; i < td_journal_groups(sim->journal); i++) {
        uint64_t bound = i == 0 ? sim->options.retain_bytes : sim->groups[i - 1].retain_bytes;
        struct td_group_stat group;

        td_journal_group_stat(sim->journal, i, &group);
        TD_MUST(bound == 0 || group.bytes <= bound + sim->options.segment_bytes,
                "%llu bytes are kept of group %zu, the bound is %llu",
                (unsigned long long)group.bytes, i, (unsigned long long)bound);
    }
}

/* ---- faults ---- */

static void faults_begin(struct sim_journal *sim)
{
    struct td_rng *rng = &sim->rng;
    struct td_sim_disk_faults faults = {0};

    switch (td_rng_below(rng, 4)) {
    case 0: faults.space_bytes = td_sim_disk_used_bytes() + td_rng_below(rng, 100000); break;
    case 1: faults.fail_write_in = 1 + (unsigned)td_rng_below(rng, 10); break;
    case 2: faults.fail_sync_in = 1 + (unsigned)td_rng_below(rng, 10); break;
    default: faults.die_in = 1 + (unsigned)td_rng_below(rng, 40); break;
    }
    td_world_say("faults: space %llu, write %u, sync %u, die %u",
                 (unsigned long long)faults.space_bytes, faults.fail_write_in, faults.fail_sync_in,
                 faults.die_in);
    td_sim_disk_set(&faults);
    sim->faults_on = true;
}

static void faults_end(struct sim_journal *sim)
{
    td_world_say("no more faults");
    td_sim_disk_set(&(struct td_sim_disk_faults){0});
    sim->faults_on = false;
    sim->faults_until_ns = td_clock_ns() + 5 * TD_NS_PER_S;
}

static void restart(struct sim_journal *sim)
{
    enum sim_end how = (enum sim_end)td_rng_below(&sim->rng, 3);

    sim_down(sim, how);
    if (td_rng_one_in(&sim->rng, 2))
        faults_end(sim);
    sim_boot(sim);
}

/* ---- the run ---- */

/* Some topics are kept for other times than the rest. */
static void groups(struct sim_journal *sim)
{
    static const char *const patterns[] = {"jobs/**", "a/**", "*/a/*", "entities/t/*", "b", "**"};
    static const char *const names[] = {"one", "two", "three"};
    struct td_rng *rng = &sim->rng;

    sim->options.groups = sim->groups;
    sim->options.n_groups = 1 + (size_t)td_rng_below(rng, TD_ARRAY_LEN(sim->groups));
    for (size_t i = 0; i < sim->options.n_groups; i++) {
        struct td_retention_group *group = &sim->groups[i];

        *group = (struct td_retention_group){
            .name = td_slice_str(names[i]),
            .patterns = sim->patterns[i],
            .n_patterns = 1 + (size_t)td_rng_below(rng, 2),
            .retain_bytes = td_rng_one_in(rng, 3) ? 0 : 1 + td_rng_below(rng, 100000),
            .retain_ms = td_rng_one_in(rng, 2) ? 0 : 100 + td_rng_below(rng, 20000),
            .state_ttl_ms = td_rng_one_in(rng, 3) ? 100 + td_rng_below(rng, 20000) : 0,
        };
        for (size_t j = 0; j < group->n_patterns; j++)
            sim->patterns[i][j] = td_slice_str(patterns[td_rng_below(rng, TD_ARRAY_LEN(patterns))]);
    }
}

static void options(struct sim_journal *sim)
{
    struct td_rng *rng = &sim->rng;
    struct td_journal_options *options = &sim->options;

    options->dir = "data/log";
    options->durability = td_rng_one_in(rng, 3) ? TD_DURABILITY_FAST : TD_DURABILITY_FSYNC;
    options->segment_bytes = (1 + td_rng_below(rng, td_rng_one_in(rng, 2) ? 2 : 16)) * 4096;
    options->retain_bytes =
        td_rng_one_in(rng, 3) ? 0 : options->segment_bytes * (1 + td_rng_below(rng, 8));
    options->retain_ms = td_rng_one_in(rng, 2) ? 0 : 100 + td_rng_below(rng, 20000);
    if (td_rng_one_in(rng, 2))
        groups(sim);
    options->state_ttl_ms = td_rng_one_in(rng, 3) ? 100 + td_rng_below(rng, 20000) : 0;
    options->state_keys_max = td_rng_one_in(rng, 4) ? 5 + (size_t)td_rng_below(rng, 40) : 0;
    options->dedup_window_ms = 500 + td_rng_below(rng, 20000);
    options->dedup_max = td_rng_one_in(rng, 3) ? 1 + (size_t)td_rng_below(rng, 40) : 10000;
    options->trimmed_max = td_rng_one_in(rng, 3) ? 8 + (size_t)td_rng_below(rng, 40) : 0;
    sim->blurred = options->trimmed_max > 0 || sim->damaged;
    sim->faults_allowed = !td_rng_one_in(rng, 3);
    sim->wall_jumps = td_rng_one_in(rng, 5);
    td_world_say("%s, segments of %llu, keeps %llu bytes, %llu ms, dedup %zu in %llu ms, trimmed "
                 "%zu",
                 options->durability == TD_DURABILITY_FAST ? "fast" : "fsync",
                 (unsigned long long)options->segment_bytes,
                 (unsigned long long)options->retain_bytes, (unsigned long long)options->retain_ms,
                 options->dedup_max, (unsigned long long)options->dedup_window_ms,
                 options->trimmed_max);
}

static void pass_time(struct sim_journal *sim)
{
    struct td_rng *rng = &sim->rng;

    td_sim_advance(td_rng_below(rng, td_rng_one_in(rng, 5) ? 3 * TD_NS_PER_S : 20 * TD_NS_PER_MS));
    if (sim->wall_jumps && td_rng_one_in(rng, 10))
        td_sim_jump_wall((int64_t)td_rng_below(rng, 20000) - 10000);
}

static void read_some(struct sim_journal *sim)
{
    struct sim_reader *reader = &sim->readers[td_rng_below(&sim->rng, SIM_READERS)];

    if (!reader->on || (!reader->must_hear && td_rng_one_in(&sim->rng, 40)))
        sim_reader_new(sim, reader);
    sim_read(sim, reader);
}

static void step(struct sim_journal *sim)
{
    uint64_t deed = td_rng_below(&sim->rng, 100);

    td_sim_advance(td_rng_below(&sim->rng, 200 * TD_NS_PER_US));
    if (deed < 36)
        sim_publish(sim);
    else if (deed < 54)
        commit(sim);
    else if (deed < 62)
        keep_once(sim);
    else if (deed < 86)
        read_some(sim);
    else if (deed < 88)
        sim_ask_trimmed(sim);
    else if (deed < 90)
        sim_ask_newest(sim);
    else if (deed < 93)
        pass_time(sim);
    else if (deed < 94)
        sim_check_state(sim);
    else if (deed < 96)
        tidy(sim);
    else if (deed < 98 && sim->faults_allowed)
        (sim->faults_on ? faults_end : faults_begin)(sim);
    else if (deed == 99)
        restart(sim);
}

/* Faults end, and the log comes back by itself, unless a sync has failed: then a restart is asked for. */
static void recover(struct sim_journal *sim)
{
    uint64_t before = sim->appends;

    faults_end(sim);
    td_sim_advance(6 * TD_NS_PER_S);
    if (sim->sync_failed || td_sim_dead()) {
        sim_down(sim, td_rng_one_in(&sim->rng, 2) ? SIM_KILL : SIM_POWER_LOSS);
        td_sim_disk_set(&(struct td_sim_disk_faults){0});
        sim->faults_on = sim->faults_allowed = false;
        sim_boot(sim);
        if (!sim->journal)
            return;
    }
    for (unsigned i = 0; i < 60 && sim->appends == before; i++) {
        sim_publish(sim);
        tidy(sim);
    }
    TD_MUST(sim->appends > before, "nothing can be published although all is well again: %s",
            td_err_name(td_journal_health(sim->journal)));
    TD_MUST(td_journal_health(sim->journal) == 0, "health: %s",
            td_err_name(td_journal_health(sim->journal)));
}

static void run(uint64_t seed, bool damaged)
{
    struct sim_journal sim = {.damaged = damaged};
    unsigned steps;

    td_sim_reset(seed);
    td_rng_init(&sim.rng, seed ^ UINT64_C(0x6a6f75726e616c));
    options(&sim);
    steps = 200 + (unsigned)td_rng_below(&sim.rng, 1800);
    sim_boot(&sim);
    for (td_world_step = 1; sim.journal && td_world_step <= steps; td_world_step++) {
        step(&sim);
        if (sim.journal && td_sim_dead()) {
            sim_down(&sim, td_rng_one_in(&sim.rng, 2) ? SIM_KILL : SIM_POWER_LOSS);
            sim_boot(&sim);
        }
        if (sim.journal && !td_sim_dead())
            sim_observe(&sim);
    }
    if (sim.journal)
        recover(&sim);
    for (size_t i = 0; sim.journal && i < SIM_READERS; i++)
        if (sim.readers[i].on)
            sim_read_out(&sim, &sim.readers[i]);
    if (sim.journal) {
        sim_down(&sim, SIM_CLOSE);
        sim_boot(&sim);
        if (sim.journal)
            sim_down(&sim, SIM_CLOSE);
    }
    td_world_say("%llu appended, %llu refused, %llu reads of %llu records, %llu gaps, %llu "
                 "restarts, %llu lost, %llu bits flipped",
                 (unsigned long long)sim.appends, (unsigned long long)sim.refusals,
                 (unsigned long long)sim.reads, (unsigned long long)sim.records,
                 (unsigned long long)sim.gaps, (unsigned long long)sim.restarts,
                 (unsigned long long)sim.losses, (unsigned long long)sim.flips);
    td_model_done(&sim.model);
    td_sim_reset(0);
}

static void run_journal(uint64_t seed)
{
    run(seed, false);
}

static void run_damage(uint64_t seed)
{
    run(seed, true);
}

const struct td_world td_world_journal = {"journal", run_journal};
const struct td_world td_world_damage = {"damage", run_damage};
