/* SPDX-License-Identifier: Apache-2.0 */
/* The truth: the world reads the log through the journal's own eyes (which the other worlds check) each time that more of it may be
 * read, and holds it against what publishers said. */
#include "base/assert.h"
#include "base/err.h"
#include "base/position.h"
#include "journal/record.h"
#include "server_world.h"

const char *srv_position(const struct srv_world *world, uint64_t seq)
{
    static char text[TD_POSITION_LEN_MAX + 1];

    td_position_format((struct td_position){world->truth.epoch, seq}, text);
    return text;
}

uint64_t srv_read_position(const struct srv_world *world, struct td_slice text, uint32_t *ret_epoch)
{
    struct td_position position;

    TD_MUST(td_position_parse(text, &position) == 0, "not a position: %.*s", (int)text.len,
            text.ptr);
    if (ret_epoch)
        *ret_epoch = position.epoch;
    else
        TD_MUST(position.epoch == world->truth.epoch, "a position of another log: %.*s",
                (int)text.len, text.ptr);
    return position.seq;
}

/* ---- looking up ---- */

static size_t after(const struct srv_event *events, size_t n, uint64_t seq)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (events[mid].seq <= seq)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

size_t srv_truth_after(const struct srv_truth *truth, uint64_t seq)
{
    return after(truth->events, truth->n, seq);
}

const struct srv_event *srv_truth_get(const struct srv_truth *truth, uint64_t seq)
{
    size_t i = srv_truth_after(truth, seq);

    return i > 0 && truth->events[i - 1].seq == seq ? &truth->events[i - 1] : NULL;
}

const struct srv_event *srv_truth_lost(const struct srv_truth *truth, uint64_t seq)
{
    for (size_t i = 0; i < truth->n_lost; i++)
        if (truth->lost[i].seq == seq)
            return &truth->lost[i];
    return NULL;
}

bool srv_truth_blind(const struct srv_truth *truth, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < truth->n_blind; i++)
        if (truth->blind[i].from < to && truth->blind[i].to > from)
            return true;
    return false;
}

static void push(struct srv_event **events, size_t *n, size_t *cap, struct srv_event event)
{
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 256;
        *events = realloc(*events, *cap * sizeof **events);
        TD_ASSERT(*events);
    }
    (*events)[(*n)++] = event;
}

void srv_truth_done(struct srv_truth *truth)
{
    free(truth->events);
    free(truth->lost);
    free(truth->said);
    *truth = (struct srv_truth){0};
}

/* ---- reading the log ---- */

/* The number of the event that a record holds; the record must be what was said under it. */
static uint32_t check_record(struct srv_world *world, const struct td_record *record)
{
    struct td_buf want = TD_BUF_INIT(256 * 1024);
    uint32_t number = srv_number(record->data, record->type);
    const struct srv_said *said = srv_said(world, number);

    if (!said)
        td_world_fail("the log holds at %llu what nobody published",
                      (unsigned long long)record->seq);
    srv_put_data(&want, number, said, true);
    TD_MUST(td_slice_eq(record->data, td_buf_slice(&want)) &&
                td_slice_eq(record->topic, srv_topic(said->topic)) &&
                td_slice_eq(record->type, srv_type(number, said)) &&
                td_slice_eq(record->key, srv_key(said)),
            "event %u lies at %llu with another topic, type, key or data", number,
            (unsigned long long)record->seq);
    TD_MUST(said->class != TD_CLASS_EPHEMERAL &&
                !(record->flags & TD_RECORD_LATEST) == (said->class != TD_CLASS_LATEST) &&
                !(record->flags & TD_RECORD_APPEND) == (said->class != TD_CLASS_APPEND),
            "event %u lies at %llu as one of another class", number,
            (unsigned long long)record->seq);
    td_buf_done(&want);
    return number;
}

/* A record that was not known. */
static void take(struct srv_world *world, const struct td_record *record)
{
    struct srv_truth *truth = &world->truth;
    uint32_t number = check_record(world, record);
    struct srv_said *said = srv_said(world, number);
    const struct srv_event *last = truth->n > 0 ? &truth->events[truth->n - 1] : NULL;

    TD_MUST(!last || last->seq < record->seq, "the log is out of order at %llu",
            (unsigned long long)record->seq);
    TD_MUST(said->fate != SRV_REFUSED, "event %u was refused, and is in the log at %llu", number,
            (unsigned long long)record->seq);
    TD_MUST(said->seq == 0 || said->again_ok, "event %u is in the log twice: at %llu and at %llu",
            number, (unsigned long long)said->seq, (unsigned long long)record->seq);
    uint32_t before = srv_said_before(world, number);
    /* What retention has left of a batch is not said again. */
    TD_MUST(before == 0 || said->again_ok || (last && last->number == before) ||
                srv_truth_blind(truth, last ? last->seq : 0, record->seq),
            "event %u of a batch does not follow the one before it", number);
    said->seq = record->seq;
    said->again_ok = false;
    push(&truth->events, &truth->n, &truth->cap,
         (struct srv_event){.seq = record->seq, .number = number});
    world->published++;
}

static void add_blind(struct srv_truth *truth, uint64_t from, uint64_t to)
{
    TD_ASSERT(truth->n_blind < SRV_BLIND_MAX);
    truth->blind[truth->n_blind++] = (struct srv_range){from, to};
}

void srv_truth_blinded(struct srv_world *world)
{
    uint64_t readable = td_journal_readable(world->journal);

    if (readable > world->truth.position)
        add_blind(&world->truth, world->truth.position, readable);
}

/* The keeper may have been faster than the world. */
static void pass_gap(struct srv_world *world, const struct td_read *read)
{
    struct srv_truth *truth = &world->truth;

    TD_MUST(read->gap_reason == TD_GAP_RETENTION || world->sync_may_fail || world->was_full,
            "the log itself tells a gap from %llu to %llu for reason %d",
            (unsigned long long)read->position, (unsigned long long)read->gap_to,
            (int)read->gap_reason);
    truth->audited += srv_truth_after(truth, read->gap_to) - srv_truth_after(truth, read->position);
    if (read->gap_to > truth->position)
        add_blind(truth, TD_MAX(read->position, truth->position), read->gap_to);
}

/* Reads everything after `position` that may be read. */
static void read_from(struct srv_world *world, uint64_t position,
                      void (*each)(struct srv_world *, const struct td_record *))
{
    struct td_wanted all = {.pattern = TD_S("**")};
    const char *records[64];
    struct td_read read = {.wanted = &all, .n_wanted = 1, .records = records, .after = position};
    unsigned cold = 0;

    all.key = td_pattern_key(td_journal_seed(world->journal), all.pattern, &all.exact);
    read.until = td_journal_readable(world->journal);
    read.records_max = TD_ARRAY_LEN(records);
    while (read.after < read.until) {
        struct td_record record;

        td_journal_quiesce(world->eye, false);
        td_journal_read(world->eye, &read);
        for (size_t i = 0; i < read.n; i++) {
            td_record_view(read.records[i], &record);
            each(world, &record);
        }
        read.after = read.position;
        if (read.end == TD_READ_GAP) {
            pass_gap(world, &read);
            if (read.gap_reason == TD_GAP_RETENTION)
                read.told = td_told_upto(read.gap_to); /* what was kept in between comes */
            else
                read.after = read.gap_to;
        } else if (read.end == TD_READ_COLD) {
            TD_MUST(++cold < 1000 || td_sim_dead(), "a segment stays cold");
            if (td_journal_keep_step(world->journal) < 0 && td_sim_dead())
                break;
        } else if (read.end == TD_READ_DONE) {
            break;
        }
    }
    td_journal_quiesce(world->eye, true);
}

bool srv_truth_gone(struct srv_world *world, uint64_t seq)
{
    struct td_wanted all = {.pattern = TD_S("**")};
    const char *record;
    struct td_read read = {
        .wanted = &all,
        .n_wanted = 1,
        .records = &record,
        .records_max = 1,
        .after = seq - 1,
        .until = seq,
        .told = td_told_upto(UINT64_MAX),
    };

    if (!world->journal || td_sim_dead())
        return true; /* nobody can say */
    all.key = td_pattern_key(td_journal_seed(world->journal), all.pattern, &all.exact);
    for (unsigned cold = 0;; cold++) {
        td_journal_quiesce(world->eye, false);
        td_journal_read(world->eye, &read);
        if (read.end != TD_READ_COLD)
            break;
        TD_MUST(cold < 1000 || td_sim_dead(), "a segment stays cold");
        if (td_journal_keep_step(world->journal) < 0 && td_sim_dead())
            break;
    }
    td_journal_quiesce(world->eye, true);
    return read.n == 0;
}

bool srv_truth_trimmed_after(struct srv_world *world, uint64_t seq)
{
    const struct srv_truth *truth = &world->truth;

    for (size_t i = srv_truth_after(truth, seq); i < truth->n; i++)
        if (srv_truth_gone(world, truth->events[i].seq))
            return true;
    return truth->horizon_max > seq;
}

void srv_observe(struct srv_world *world)
{
    struct srv_truth *truth = &world->truth;

    if (!world->journal || td_sim_dead())
        return;
    uint64_t readable = td_journal_readable(world->journal);
    uint64_t durable = td_journal_durable(world->journal);
    TD_MUST(readable >= truth->position, "the readable head went back from %llu to %llu",
            (unsigned long long)truth->position, (unsigned long long)readable);
    TD_MUST(world->options.durability == TD_DURABILITY_FAST || readable <= durable,
            "%llu may be read, but only %llu is durable", (unsigned long long)readable,
            (unsigned long long)durable);
    if (readable > truth->position)
        read_from(world, truth->position, take);
    truth->position = readable;
    truth->durable = durable;
    uint64_t horizon = td_journal_horizon(world->journal);
    world->trims += horizon > truth->horizon;
    TD_MUST(horizon >= truth->horizon, "the horizon goes back from %llu to %llu",
            (unsigned long long)truth->horizon, (unsigned long long)horizon);
    truth->horizon = horizon;
    truth->horizon_max = TD_MAX(truth->horizon_max, horizon);
}

static void mark(struct srv_world *world, const struct td_record *record)
{
    size_t i = srv_truth_after(&world->truth, record->seq);

    if (i > 0 && world->truth.events[i - 1].seq == record->seq)
        world->truth.events[i - 1].there_at = world->truth.roll;
}

uint32_t srv_truth_roll(struct srv_world *world)
{
    struct srv_truth *truth = &world->truth;

    truth->roll++;
    if (world->journal && !td_sim_dead())
        read_from(world, td_journal_horizon(world->journal), mark);
    if (!world->journal || td_sim_dead())
        return SRV_ROLL_BLIND; /* nobody can say */
    for (size_t i = 0; i < truth->n; i++) {
        struct srv_event *event = &truth->events[i];

        if (event->there_at == truth->roll)
            event->gone_at = 0; /* a power loss may have brought it back */
        else if (event->gone_at == 0)
            event->gone_at = truth->roll;
    }
    return truth->roll;
}

bool srv_truth_gone_by(const struct srv_event *event, uint32_t roll)
{
    return roll == SRV_ROLL_BLIND || (event->gone_at > 0 && event->gone_at <= roll);
}

static void recheck(struct srv_world *world, const struct td_record *record)
{
    const struct srv_event *event = srv_truth_get(&world->truth, record->seq);
    uint32_t number = check_record(world, record);

    TD_MUST(event && event->number == number, "event %u is in the log at %llu: it was not before",
            number, (unsigned long long)record->seq);
    world->truth.audited++;
}

void srv_audit(struct srv_world *world)
{
    struct srv_truth *truth = &world->truth;
    uint64_t horizon = td_journal_horizon(world->journal);

    truth->audited = 0;
    read_from(world, horizon, recheck);
    if (td_sim_dead())
        return;
    /* Reading may have let the keeper trim some. */
    uint64_t horizon_now = td_journal_horizon(world->journal);
    size_t want = truth->n - srv_truth_after(truth, horizon_now);
    TD_MUST(truth->audited >= want, "%zu events are in the log behind %llu, not %zu",
            truth->audited, (unsigned long long)horizon, want);
}

static void forget_lost(struct srv_world *world, uint64_t after_seq)
{
    struct srv_truth *truth = &world->truth;
    size_t keep = srv_truth_after(truth, after_seq);

    for (size_t i = keep; i < truth->n; i++) {
        push(&truth->lost, &truth->n_lost, &truth->lost_cap, truth->events[i]);
        truth->said[truth->events[i].number - 1].seq = 0;
    }
    truth->n = keep;
    truth->position = TD_MIN(truth->position, after_seq);
}

/* What the log holds again was not lost. */
static void unlose(struct srv_truth *truth)
{
    size_t kept = 0;

    for (size_t i = 0; i < truth->n_lost; i++)
        if (!srv_truth_get(truth, truth->lost[i].seq))
            truth->lost[kept++] = truth->lost[i];
    truth->n_lost = kept;
}

void srv_truth_restart(struct srv_world *world, bool power)
{
    struct srv_truth *truth = &world->truth;
    uint32_t epoch = td_journal_epoch(world->journal);

    if (epoch != truth->epoch) {
        TD_MUST(truth->epoch == 0 || truth->durable == 0, "the log is another one");
        forget_lost(world, 0);
        truth->position = truth->durable = truth->horizon_max = 0;
        truth->epoch = epoch;
    } else if (power && world->options.durability == TD_DURABILITY_FAST) {
        forget_lost(world, truth->durable);
    }
    truth->horizon = td_journal_horizon(world->journal);
    truth->horizon_max = TD_MAX(truth->horizon_max, truth->horizon);
    for (size_t i = 0; i < truth->n_said; i++)
        if (truth->said[i].keyed && truth->said[i].seq > 0 &&
            (truth->said[i].seq <= truth->horizon_max || srv_truth_gone(world, truth->said[i].seq)))
            truth->said[i].again_ok = true;
    srv_observe(world);
    unlose(truth);
    if (td_sim_dead() || truth->n == 0)
        return;
    const struct srv_event *last = &truth->events[truth->n - 1];
    TD_MUST(srv_said_is_last(world, last->number) || srv_said(world, last->number)->keyed,
            "the log ends in the middle of a batch, at %llu", (unsigned long long)last->seq);
}
