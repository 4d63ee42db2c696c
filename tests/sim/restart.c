/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a process and the start of the next, and what must be there then. */
#include "base/assert.h"
#include "base/err.h"
#include "journal_world.h"
#include "os/clock.h"
#include <errno.h>

static void wake(void *arg)
{
    /* Readers are called anyway. */
}

/* ---- the end ---- */

/* Power loss takes back what `fast` has shown and not synced. */
static void power_loss(struct sim_journal *sim)
{
    td_sim_disk_crash();
    if (sim->options.durability == TD_DURABILITY_FAST)
        sim->model.promised = sim->model.synced;
}

void sim_down(struct sim_journal *sim, enum sim_end how)
{
    static const char *const names[] = {"close", "kill -9", "power loss"};
    struct td_journal_stat stat;

    td_world_say("down: %s", names[how]);
    sim->restarts++;
    td_journal_stat(sim->journal, &stat);
    if (td_sim_dead() && how == SIM_CLOSE)
        how = SIM_KILL;
    bool sound = how == SIM_CLOSE && !sim->faults_on && !sim->sync_failed;
    if (how == SIM_KILL)
        td_sim_disk_kill();
    else if (how == SIM_POWER_LOSS)
        power_loss(sim);
    for (unsigned i = 0; i < SIM_HANDLES; i++) {
        if (how == SIM_CLOSE)
            sim_quiesce(sim, i, false);
        sim->held[i] = NULL;
        td_journal_reader_close(sim->handles[i]);
    }
    if (how == SIM_CLOSE)
        td_journal_close(sim->journal);
    else
        td_journal_abandon(sim->journal);
    sim->journal = NULL;
    TD_MUST(td_sim_maps_open() == 0, "%zu mappings were not given back", td_sim_maps_open());
    TD_MUST(td_sim_dead() || td_sim_files_open() == 0, "%zu files were not closed",
            td_sim_files_open());
    if (how == SIM_CLOSE && td_sim_dead())
        td_sim_disk_kill();
    if (sound)
        sim->model.promised = sim->model.synced = stat.head;
    sim->closed = sound;
}

/* ---- damage ---- */

static void flip_some(struct sim_journal *sim)
{
    const char *path;
    uint64_t size;
    size_t files = 0;

    while (td_sim_disk_file(files, &path, &size))
        files++;
    for (uint64_t n = td_rng_below(&sim->rng, 4); files > 0 && n > 0; n--) {
        if (!td_sim_disk_file((size_t)td_rng_below(&sim->rng, files), &path, &size) || size == 0)
            continue;
        uint64_t at = td_rng_below(&sim->rng, size);
        if (strstr(path, ".lock"))
            continue;
        TD_MUST(td_sim_disk_flip(path, at, (unsigned)td_rng_below(&sim->rng, 8)) == 0, "no flip");
        td_world_say("a bit of %s flips at %llu of %llu", path, (unsigned long long)at,
                     (unsigned long long)size);
        sim->flips++;
    }
}

/* ---- the audit: what the log holds against what it must hold ---- */

struct audit {
    struct sim_journal *sim;
    unsigned char
        *seen; /* for each event of the model: 1 there, 2 said to be trimmed, 3 to be missing */
    size_t n;
    size_t adopted;
    bool some[TD_GROUPS_MAX + 1]; /* of each group something is there */
};

static void audit_mark(struct audit *audit, size_t i, unsigned char what)
{
    const struct td_model *model = &audit->sim->model;

    if (model->n > audit->n) {
        audit->seen = realloc(audit->seen, model->n);
        TD_ASSERT(audit->seen);
        memset(audit->seen + audit->n, 0, model->n - audit->n);
        audit->n = model->n;
    }
    if (i < audit->n)
        audit->seen[i] = what;
}

/* A record that the model does not have: of the append in which the process died, or made up. */
static void audit_unknown(struct audit *audit, const char *bytes)
{
    struct td_model *model = &audit->sim->model;
    uint32_t number = td_model_number_of(bytes);
    struct td_record record;

    td_record_view(bytes, &record);
    for (size_t i = 0; i < model->n_maybe; i++) {
        struct td_model_event event = model->maybe[i];

        if (event.number != number || event.seq != 0)
            continue;
        event.seq = model->maybe[i].seq = record.seq;
        event.time = record.time;
        event.key = 0;
        td_model_add(model, &event);
        audit_mark(audit, model->n - 1, 1);
        td_model_check(model, &event, bytes);
        if (model->maybe[i].key)
            td_model_remember(model, model->maybe[i].key, &event, record.time, UINT64_MAX);
        audit->adopted++;
        return;
    }
    td_world_fail("event %u at %llu is in the log, but its append was refused or it was given up",
                  number, (unsigned long long)record.seq);
}

static void audit_records(struct audit *audit, const struct td_read *read)
{
    struct td_model *model = &audit->sim->model;

    for (size_t i = 0; i < read->n; i++) {
        uint64_t seq = td_record_seq(read->records[i]);
        const struct td_model_event *event = td_model_get(model, seq);

        TD_MUST(seq > read->after && (i == 0 || seq > td_record_seq(read->records[i - 1])),
                "the log is out of order at %llu", (unsigned long long)seq);
        if (!event) {
            audit_unknown(audit, read->records[i]);
            continue;
        }
        td_model_check(model, event, read->records[i]);
        audit_mark(audit, (size_t)(event - model->events), 1);
    }
}

static void audit_gap(struct audit *audit, const struct td_read *read)
{
    struct sim_journal *sim = audit->sim;

    td_world_say("audit: gap from %llu to %llu, reason %d", (unsigned long long)read->position,
                 (unsigned long long)read->gap_to, (int)read->gap_reason);
    TD_MUST(read->gap_to > read->position, "an empty gap");
    TD_MUST(sim->damaged || read->gap_reason == TD_GAP_RETENTION,
            "after a restart there is a gap from %llu to %llu for reason %d; the horizon is %llu",
            (unsigned long long)read->position, (unsigned long long)read->gap_to,
            (int)read->gap_reason, (unsigned long long)sim->model.horizon);
    for (size_t i = td_model_after(&sim->model, read->position);
         i < sim->model.n && sim->model.events[i].seq <= read->gap_to; i++)
        audit_mark(audit, i, read->gap_reason == TD_GAP_RETENTION ? 2 : 3);
}

static void audit_read(struct audit *audit)
{
    static const char *records[256];
    struct sim_journal *sim = audit->sim;
    struct td_wanted all = {.pattern = TD_S("**")};
    struct td_read read = {.wanted = &all, .n_wanted = 1, .records = records};
    unsigned cold = 0;

    all.key = td_pattern_key(td_journal_seed(sim->journal), all.pattern, &all.exact);
    read.until = td_journal_readable(sim->journal);
    read.records_max = TD_ARRAY_LEN(records);
    for (bool done = read.until == 0; !done;) {
        td_journal_read(sim->handles[0], &read);
        audit_records(audit, &read);
        if (read.end == TD_READ_GAP)
            audit_gap(audit, &read);
        if (read.end == TD_READ_COLD) {
            TD_MUST(++cold < 10000, "a segment stays cold");
            sim_keep(sim);
        }
        done = read.end == TD_READ_DONE;
        bool stays = read.end == TD_READ_GAP && read.gap_reason == TD_GAP_RETENTION;
        if (stays)
            read.told = td_told_upto(read.gap_to);
        read.after = read.end == TD_READ_GAP && !stays ? read.gap_to : read.position;
        td_journal_quiesce(sim->handles[0], false);
    }
}

/* A reader that got what is gone has to hear of it. */
static void lost_to_readers(struct sim_journal *sim, const struct td_model_event *event)
{
    for (size_t i = 0; i < SIM_READERS; i++) {
        struct sim_reader *reader = &sim->readers[i];

        if (reader->on && reader->position >= event->seq && reader->fresh_at < event->seq &&
            td_model_wants(reader->wanted, reader->n_wanted, event))
            reader->must_hear = !sim->damaged;
    }
}

/* Retention takes the oldest of a group first. */
static void check_order(struct audit *audit, const struct td_model_event *event, bool there)
{
    struct sim_journal *sim = audit->sim;
    unsigned group = sim_group_of(sim, event->topic);

    TD_MUST(there || event->gone || sim->damaged || sim->blurred || !audit->some[group],
            "event %llu is gone, but an older one of its group is there",
            (unsigned long long)event->seq);
    audit->some[group] |= there;
}

/* Takes out of the model what is gone, unless it was promised. */
static void audit_losses(struct audit *audit, const struct td_journal_report *report)
{
    struct sim_journal *sim = audit->sim;
    struct td_model *model = &sim->model;
    bool reported = report->cut_bytes > 0 || report->damaged_ranges > 0 || report->unclean;
    size_t kept = 0;
    uint64_t lost_batch = 0, kept_batch = 0;

    audit_mark(audit, model->n, 0);
    for (size_t i = 0; i < model->n; i++) {
        struct td_model_event event = model->events[i];
        bool there = i < audit->n && audit->seen[i] == 1;
        bool told = i < audit->n && audit->seen[i] > 1;
        bool trimmed = i < audit->n && audit->seen[i] == 2;

        if (there || told) {
            check_order(audit, &event, there);
            event.gone = trimmed || (event.gone && !there);
            event.damaged = told && !trimmed;
            TD_MUST(!there || sim->damaged || event.batch != lost_batch,
                    "batch %llu is in the log in part: %llu is there",
                    (unsigned long long)event.batch, (unsigned long long)event.seq);
            if (there)
                kept_batch = event.batch;
            model->events[kept++] = event;
            continue;
        }
        TD_MUST(event.seq > model->promised || (sim->damaged && reported),
                "event %llu is gone, and everything up to %llu was promised",
                (unsigned long long)event.seq, (unsigned long long)model->promised);
        TD_MUST(sim->damaged || event.batch != kept_batch,
                "batch %llu is in the log in part: %llu is gone", (unsigned long long)event.batch,
                (unsigned long long)event.seq);
        td_world_say("event %llu is gone", (unsigned long long)event.seq);
        lost_batch = event.batch;
        lost_to_readers(sim, &event);
        /* An index that is sound may know the key of a record that is not. */
        if (!sim->damaged)
            td_model_forget(model, event.seq);
        sim->losses++;
    }
    model->n = kept;
}

/* What is known of a key at a start: its age is what the wall clock says. */
static void audit_known(struct sim_journal *sim, struct td_model_known *known, bool there)
{
    uint64_t window = sim->options.dedup_window_ms;
    td_unix_ms wall = td_clock_unix_ms();
    td_unix_ms age = wall > known->time ? wall - known->time : 0;
    td_ns now = td_clock_ns();

    /* What was too old once may have been dropped, also if the wall clock says now that it is not. */
    known->unsure |= !there || known->seq <= sim->model.horizon_max || now > known->until;
    known->until = age <= window ? now + (window - age) * TD_NS_PER_MS : 0;
    known->read = true;
}

static void audit(struct sim_journal *sim, const struct td_journal_report *report)
{
    struct audit audit = {.sim = sim};
    struct td_model *model = &sim->model;

    audit_mark(&audit, model->n, 0);
    audit_read(&audit);
    TD_MUST(sim->damaged || audit.adopted == 0 || !model->maybe_sure ||
                audit.adopted == model->n_maybe,
            "%zu of %zu events of the last batch are there", audit.adopted, model->n_maybe);
    audit_losses(&audit, report);
    free(audit.seen);
    model->n_maybe = 0;
    for (size_t i = 0; i < model->n_known; i++) {
        const struct td_model_event *event = td_model_get(model, model->known[i].seq);

        audit_known(sim, &model->known[i], event && !event->gone && !sim->damaged);
    }
}

/* ---- the start ---- */

/* Another log: fine as long as nothing was promised of the last, or when its files are damaged beyond knowing (then
 * everybody is told by the epoch).  False when the run ends with it. */
static bool new_epoch(struct sim_journal *sim)
{
    struct td_model *model = &sim->model;
    uint32_t epoch = td_journal_epoch(sim->journal);

    if (model->epoch == epoch)
        return true;
    if (model->epoch != 0 && model->promised > 0) {
        TD_MUST(sim->damaged, "the log is another one: %08x, not %08x", epoch, model->epoch);
        td_world_say("the log is another one");
        td_journal_abandon(sim->journal);
        sim->journal = NULL;
        return false;
    }
    td_model_done(model);
    memset(sim->batches, 0, sizeof sim->batches);
    memset(sim->readers, 0, sizeof sim->readers);
    model->epoch = epoch;
    return true;
}

static int open_once(struct sim_journal *sim, struct td_journal_report *report)
{
    *report = (struct td_journal_report){0};
    int err = td_journal_open(&sim->options, &sim->journal, report);
    if (err == 0)
        return 0;
    sim->journal = NULL;
    td_world_say("open: %s", td_err_name(err));
    TD_MUST(td_sim_maps_open() == 0, "a failed open leaves %zu mappings", td_sim_maps_open());
    TD_MUST(td_sim_dead() || td_sim_files_open() == 0, "a failed open leaves %zu files",
            td_sim_files_open());
    if (td_sim_dead()) {
        if (td_rng_one_in(&sim->rng, 2))
            td_sim_disk_kill();
        else
            power_loss(sim);
        td_sim_boot();
    }
    return err;
}

static void open_journal(struct sim_journal *sim, struct td_journal_report *report)
{
    bool faults = sim->faults_on;
    int err = open_once(sim, report);

    if (err < 0 && faults) {
        td_sim_disk_set(&(struct td_sim_disk_faults){0});
        sim->faults_on = false;
        sim->blurred = true;
        err = open_once(sim, report);
    }
    if (err < 0 && sim->damaged) {
        td_world_say("the log refuses to open: %s", td_err_name(err));
        return;
    }
    TD_MUST(err == 0, "open: %s", td_err_name(err));
}

void sim_boot(struct sim_journal *sim)
{
    struct td_journal_report report;

    td_sim_boot();
    if (sim->damaged && td_rng_one_in(&sim->rng, 2))
        flip_some(sim);
    if (sim->faults_allowed && td_rng_one_in(&sim->rng, 6)) {
        /* Dying while it comes back is what a machine that fails does. */
        td_sim_disk_set(
            &(struct td_sim_disk_faults){.die_in = 1 + (unsigned)td_rng_below(&sim->rng, 12)});
        sim->faults_on = true;
    }
    open_journal(sim, &report);
    if (!sim->journal)
        return;
    td_world_say("up: epoch %08x, head to %llu, %llu segments, cut %llu bytes, %llu records%s",
                 td_journal_epoch(sim->journal),
                 (unsigned long long)td_journal_readable(sim->journal),
                 (unsigned long long)report.segments, (unsigned long long)report.cut_bytes,
                 (unsigned long long)report.cut_records, report.unclean ? ", unclean" : "");
    TD_MUST(!sim->closed || !report.unclean || sim->damaged, "a closed log is said to be unclean");
    sim->closed = false;
    sim->sync_failed = sim->littered = false;
    if (!new_epoch(sim))
        return;
    sim->model.horizon = td_journal_horizon(sim->journal);
    sim->model.horizon_max = TD_MAX(sim->model.horizon_max, sim->model.horizon);
    for (unsigned i = 0; i < SIM_HANDLES; i++)
        TD_MUST(td_journal_reader_open(sim->journal, wake, sim, &sim->handles[i]) == 0,
                "no reader");
    for (size_t i = 0; i < SIM_READERS; i++)
        sim_reader_attach(sim, &sim->readers[i]);
    if (!td_sim_dead())
        audit(sim, &report);
    sim_observe(sim);
    if (!td_sim_dead())
        sim_check_state(sim);
}
