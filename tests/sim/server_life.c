/* SPDX-License-Identifier: Apache-2.0 */
/* The server's life: it comes up, works, is killed or stopped, and comes up again. */
#include "base/assert.h"
#include "base/err.h"
#include "os/clock.h"
#include "server_world.h"

#define DRAIN_NS (30 * TD_NS_PER_S)

static void wake(void *arg)
{
    /* The world looks anyway. */
}

/* ---- up ---- */

static int open_once(struct srv_world *world, struct td_journal_report *report)
{
    int err = td_journal_open(&world->options, &world->journal, report);

    if (err == 0)
        return 0;
    world->journal = NULL;
    td_world_say("open: %s", td_err_name(err));
    TD_MUST(td_sim_maps_open() == 0, "a failed open leaves %zu mappings", td_sim_maps_open());
    return err;
}

static void make_workers(struct srv_world *world)
{
    world->api = (struct td_api){
        .workers = world->workers,
        .n_workers = world->n_workers,
        .journal = world->journal,
    };
    for (size_t i = 0; i < world->n_workers; i++) {
        int listener = td_net_listen("127.0.0.1:8000", world->n_workers > 1, NULL);
        TD_MUST(listener >= 0, "listen: %s", td_err_name(listener));
        const struct td_worker_options options = {
            .number = (unsigned)i,
            .edge = &world->edge,
            .handler = {td_api_admit, td_api_handle, &world->api},
            .journal = world->journal,
            .listeners = &listener,
            .n_listeners = 1,
        };
        int err = td_worker_new(&options, &world->workers[i]);
        TD_MUST(err == 0, "no worker: %s", td_err_name(err));
    }
}

/* Comes up; `power`: the last one ended by power loss. */
static void boot(struct srv_world *world, bool power)
{
    struct td_journal_report report = {0};
    int err;

    world->boot++;
    if (td_sim_dead())
        td_sim_boot();
    err = open_once(world, &report);
    if (err < 0 && world->faults_on) {
        td_sim_disk_set(&(struct td_sim_disk_faults){0});
        world->faults_on = false;
        if (td_sim_dead()) {
            td_sim_disk_kill();
            td_sim_boot();
        }
        err = open_once(world, &report);
    }
    TD_MUST(err == 0, "open: %s", td_err_name(err));
    err = td_journal_reader_open(world->journal, wake, world, &world->eye);
    TD_MUST(err == 0, "no reader: %s", td_err_name(err));
    td_journal_quiesce(world->eye, true);
    make_workers(world);
    td_world_say(
        "up: epoch %08x, %llu readable, horizon %llu, %llu segments, cut %llu records%s",
        td_journal_epoch(world->journal), (unsigned long long)td_journal_readable(world->journal),
        (unsigned long long)td_journal_horizon(world->journal), (unsigned long long)report.segments,
        (unsigned long long)report.cut_records, report.unclean ? ", unclean" : "");
    srv_truth_restart(world, power);
    if (td_rng_one_in(&world->rng, 4))
        srv_audit(world);
}

void srv_boot(struct srv_world *world)
{
    boot(world, false);
}

/* ---- down ---- */

static void free_server(struct srv_world *world)
{
    for (size_t i = 0; i < world->n_workers; i++) {
        td_worker_free(world->workers[i]);
        world->workers[i] = NULL;
    }
    td_journal_reader_close(world->eye);
    world->eye = NULL;
}

static void check_closed(void)
{
    TD_MUST(td_sim_maps_open() == 0, "%zu mappings were not given back", td_sim_maps_open());
    TD_MUST(td_sim_dead() || td_sim_files_open() == 0, "%zu files were not closed",
            td_sim_files_open());
    TD_MUST(td_sim_sockets_open() == 0, "%zu sockets were not closed", td_sim_sockets_open());
}

void srv_crash(struct srv_world *world, bool power)
{
    td_world_say("down: %s", power ? "power loss" : "kill -9");
    world->crashes++;
    srv_truth_blinded(world);
    if (power)
        td_sim_disk_crash();
    else
        td_sim_disk_kill();
    td_sim_net_kill(power);
    free_server(world);
    td_journal_abandon(world->journal);
    world->journal = NULL;
    check_closed();
    boot(world, power);
}

/* Turns all workers until each has let its connections go. */
static bool drained(struct srv_world *world)
{
    bool on[SRV_WORKERS] = {true, true};
    td_ns until = td_clock_ns() + DRAIN_NS;

    for (size_t i = 0; i < world->n_workers; i++)
        td_worker_stop(world->workers[i]);
    for (size_t left = world->n_workers; left > 0;) {
        TD_MUST(td_clock_ns() < until, "the drain does not end");
        for (size_t i = 0; i < world->n_workers; i++)
            if (on[i] && !td_worker_turn(world->workers[i], 0)) {
                on[i] = false;
                left--;
            }
        srv_observe(world);
        srv_commit(world);
        srv_pass(world, td_rng_below(&world->rng, 100 * TD_NS_PER_MS));
        if (td_sim_dead())
            return false;
    }
    return true;
}

void srv_stop(struct srv_world *world)
{
    td_world_say("down: stop");
    world->draining = true;
    world->closes++;
    if (!drained(world)) {
        world->draining = false;
        srv_crash(world, td_rng_one_in(&world->rng, 2));
        return;
    }
    free_server(world);
    td_journal_close(world->journal);
    world->journal = NULL;
    check_closed();
    world->draining = false;
    boot(world, false);
}

/* ---- at work ---- */

void srv_commit(struct srv_world *world)
{
    if (!world->journal || td_sim_dead())
        return;
    int r = td_journal_commit_step(world->journal);
    if (r < 0)
        td_world_say("commit: %s", td_err_name(r));
    srv_observe(world);
}

void srv_keep(struct srv_world *world)
{
    if (!world->journal || td_sim_dead())
        return;
    int r = td_journal_keep_step(world->journal);
    if (r < 0)
        td_world_say("keep: %s", td_err_name(r));
    srv_observe(world);
}

/* The most that a log of so many segments may have open. */
static void check_bounds(struct srv_world *world)
{
    struct td_journal_stat stat;

    td_journal_stat(world->journal, &stat);
    TD_MUST(td_sim_files_open() <= 3 * stat.segments + 16, "%zu files are open for %llu segments",
            td_sim_files_open(), (unsigned long long)stat.segments);
}

void srv_turn(struct srv_world *world)
{
    for (size_t i = 0; i < world->n_workers && !td_sim_dead(); i++) {
        struct td_worker *worker = world->workers[i];
        bool spurious = !world->final && td_rng_one_in(&world->rng, 10);

        if (!spurious && !td_sim_loop_ready(worker->loop))
            continue;
        TD_MUST(td_worker_turn(worker, -1) || world->draining, "a worker ends by itself");
        srv_observe(world);
    }
    if (!td_sim_dead() && world->journal)
        check_bounds(world);
}
