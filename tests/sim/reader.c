/* SPDX-License-Identifier: Apache-2.0 */
/* Reads random patterns from random positions and compares with the model: every event, in order, once, or a gap. */
#include "base/assert.h"
#include "base/err.h"
#include "journal_world.h"

#define RECORDS_MAX 64

static void say_patterns(const struct sim_reader *reader, char *text, size_t cap)
{
    size_t len = 0;

    text[0] = 0;
    for (size_t i = 0; i < reader->n_wanted && len < cap; i++)
        len += (size_t)snprintf(text + len, cap - len, " %s", reader->patterns[i]);
}

void sim_reader_attach(struct sim_journal *sim, struct sim_reader *reader)
{
    for (size_t i = 0; i < reader->n_wanted; i++) {
        struct td_wanted *wanted = &reader->wanted[i];

        wanted->pattern = td_slice_str(reader->patterns[i]);
        wanted->key =
            td_pattern_key(td_journal_seed(sim->journal), wanted->pattern, &wanted->exact);
    }
    reader->oldest = false;
    reader->told = td_told_upto(reader->gap_told);
}

static uint64_t random_position(struct sim_journal *sim)
{
    uint64_t readable = td_journal_readable(sim->journal);

    switch (td_rng_below(&sim->rng, 4)) {
    case 0: return 0;
    case 1: return TD_MIN(readable, td_journal_horizon(sim->journal));
    case 2: return readable;
    default: break;
    }
    if (sim->model.n == 0)
        return 0;
    uint64_t seq = sim->model.events[td_rng_below(&sim->rng, sim->model.n)].seq;
    return TD_MIN(seq, readable);
}

void sim_reader_new(struct sim_journal *sim, struct sim_reader *reader)
{
    *reader = (struct sim_reader){
        .on = true,
        .handle = (unsigned)td_rng_below(&sim->rng, SIM_HANDLES),
        .position = random_position(sim),
        .n_wanted =
            td_rng_one_in(&sim->rng, 2) ? 1 : 1 + (size_t)td_rng_below(&sim->rng, SIM_PATTERNS),
    };
    for (size_t i = 0; i < reader->n_wanted; i++)
        td_model_pattern(&sim->rng, reader->patterns[i]);
    reader->fresh_at = reader->position;
    sim_reader_attach(sim, reader);
    if (reader->position == td_journal_horizon(sim->journal)) {
        sim_observe_trims(sim);
        reader->oldest = true;
        reader->oldest_at = sim->looks;
        reader->told =
            td_journal_told(sim->handles[reader->handle], reader->wanted, reader->n_wanted);
    }
    char text[512];
    say_patterns(reader, text, sizeof text);
    td_world_say("reader %td begins at %llu%s:%s", reader - sim->readers,
                 (unsigned long long)reader->position, reader->oldest ? ", the oldest" : "", text);
}

void sim_quiesce(struct sim_journal *sim, unsigned handle, bool doze)
{
    if (sim->held[handle]) {
        td_model_check(&sim->model, &sim->held_event[handle], sim->held[handle]);
        sim->held[handle] = NULL;
    }
    td_journal_quiesce(sim->handles[handle], doze);
}

/* Whether it need not hear (any more) that an event has gone. */
static bool was_told(const struct sim_reader *reader, const struct td_model_event *event)
{
    return event->seq <= reader->gap_told ||
           (reader->oldest && event->gone_at <= reader->oldest_at);
}

/* Whether something that it wants and was not told of has gone from (from, to]. */
static bool is_news(const struct sim_journal *sim, const struct sim_reader *reader, uint64_t from,
                    uint64_t to)
{
    const struct td_model *model = &sim->model;

    for (size_t i = td_model_after(model, from); i < model->n && model->events[i].seq <= to; i++)
        if (model->events[i].gone && !was_told(reader, &model->events[i]) &&
            td_model_wants(reader->wanted, reader->n_wanted, &model->events[i]))
            return true;
    return false;
}

/* What was returned is what the model has in (after, position]. */
static void check_records(struct sim_journal *sim, struct sim_reader *reader,
                          const struct td_read *read)
{
    const struct td_model *model = &sim->model;
    size_t at = td_model_after(model, read->after), n = 0;

    for (; at < model->n && model->events[at].seq <= read->position; at++) {
        const struct td_model_event *event = &model->events[at];

        if (!td_model_wants(reader->wanted, reader->n_wanted, event))
            continue;
        bool given = n < read->n && td_record_seq(read->records[n]) == event->seq;
        /* What was damaged is trimmed with the rest of its segment. */
        if (!given && (event->gone || sim->damaged) && was_told(reader, event))
            continue;
        TD_MUST(n < read->n,
                "reader %td: nothing said of event %llu (topic %.*s), read from %llu to %llu",
                reader - sim->readers, (unsigned long long)event->seq,
                (int)td_model_topic(event->topic).len, td_model_topic(event->topic).ptr,
                (unsigned long long)read->after, (unsigned long long)read->position);
        uint64_t seq = td_record_seq(read->records[n]);
        TD_MUST(seq == event->seq, "reader %td: got %llu where %llu (topic %.*s) comes next",
                reader - sim->readers, (unsigned long long)seq, (unsigned long long)event->seq,
                (int)td_model_topic(event->topic).len, td_model_topic(event->topic).ptr);
        td_model_check(model, event, read->records[n]);
        n++;
    }
    TD_MUST(n == read->n, "reader %td: %zu records after %llu, %zu wanted; one too many is %llu",
            reader - sim->readers, read->n, (unsigned long long)read->after, n,
            (unsigned long long)td_record_seq(read->records[n]));
    if (n > 0 && !sim->held[reader->handle]) {
        sim->held[reader->handle] = read->records[0];
        sim->held_event[reader->handle] = *td_model_get(model, td_record_seq(read->records[0]));
    }
}

static void check_budget(const struct td_model *model, const struct td_read *read)
{
    /* What is trimmed is passed in one go, also when less was asked for. */
    uint64_t far = TD_MAX(TD_MAX(read->until, read->after), model->horizon);
    struct td_record record;
    size_t bytes = 0;

    TD_MUST(read->n <= read->records_max, "more records than there is room");
    for (size_t i = 0; i + 1 < read->n; i++) {
        td_record_view(read->records[i], &record);
        bytes += record.frame.len;
    }
    TD_MUST(read->bytes_max == 0 || read->n < 2 || bytes < read->bytes_max,
            "%zu bytes before the last record, the budget was %zu", bytes, read->bytes_max);
    TD_MUST(read->position >= read->after && read->position <= far,
            "the position went from %llu to %llu, until %llu", (unsigned long long)read->after,
            (unsigned long long)read->position, (unsigned long long)read->until);
    TD_MUST(read->end != TD_READ_DONE || read->position >= TD_MAX(read->until, read->after),
            "done at %llu, but asked until %llu", (unsigned long long)read->position,
            (unsigned long long)read->until);
}

static bool all_exact(const struct sim_reader *reader)
{
    for (size_t i = 0; i < reader->n_wanted; i++)
        if (!reader->wanted[i].exact)
            return false;
    return true;
}

static void check_gap(struct sim_journal *sim, struct sim_reader *reader,
                      const struct td_read *read)
{
    const struct td_model *model = &sim->model;
    bool fast = sim->options.durability == TD_DURABILITY_FAST;

    td_world_say("reader %td: gap from %llu to %llu, reason %d", reader - sim->readers,
                 (unsigned long long)read->position, (unsigned long long)read->gap_to,
                 (int)read->gap_reason);
    sim->gaps++;
    /* A position beyond the head is of a process that ended before it synced; it is sent back. */
    bool beyond = read->gap_reason == TD_GAP_UNSYNCED && read->position > model->head;
    TD_MUST(beyond ? read->gap_to == td_journal_readable(sim->journal)
                   : read->gap_to > read->position,
            "an empty gap at %llu", (unsigned long long)read->position);
    switch (read->gap_reason) {
    case TD_GAP_RETENTION:
        TD_MUST(read->gap_to <= model->head, "a retention gap up to %llu, but the head is %llu",
                (unsigned long long)read->gap_to, (unsigned long long)model->head);
        TD_MUST(sim->blurred || !all_exact(reader) ||
                    is_news(sim, reader, read->gap_from, read->gap_to),
                "reader %td: a retention gap from %llu to %llu, but nothing that it wants was "
                "there",
                reader - sim->readers, (unsigned long long)read->gap_from,
                (unsigned long long)read->gap_to);
        TD_MUST(read->gap_from >= read->position &&
                    !is_news(sim, reader, read->position, read->gap_from),
                "reader %td at %llu: a retention gap from %llu, but more was there before",
                reader - sim->readers, (unsigned long long)read->position,
                (unsigned long long)read->gap_from);
        break;
    case TD_GAP_UNSYNCED:
        TD_MUST(fast || sim->damaged,
                "an unsynced gap from %llu to %llu, but what was shown was synced",
                (unsigned long long)read->position, (unsigned long long)read->gap_to);
        break;
    case TD_GAP_DAMAGED: TD_MUST(sim->damaged, "damage in a sound log"); break;
    case TD_GAP_EPOCH: td_world_fail("an epoch gap from the journal");
    }
    if (read->position == reader->position)
        reader->must_hear = false;
}

/* One call with random budgets; how it ended. */
static enum td_read_end read_once(struct sim_journal *sim, struct sim_reader *reader,
                                  struct td_read *read)
{
    static const char *records[RECORDS_MAX];
    struct td_rng *rng = &sim->rng;

    read->wanted = reader->wanted;
    read->n_wanted = reader->n_wanted;
    read->after = reader->position;
    read->told = reader->told;
    read->records = records;
    read->records_max = 1 + (size_t)td_rng_below(rng, RECORDS_MAX);
    read->bytes_max = td_rng_one_in(rng, 2) ? 0 : 1 + (size_t)td_rng_below(rng, 4096);
    read->examined_max = td_rng_one_in(rng, 2) ? 0 : 1 + (size_t)td_rng_below(rng, 64);
    td_journal_read(sim->handles[reader->handle], read);
    sim->reads++;
    sim->records += read->n;
    check_budget(&sim->model, read);
    check_records(sim, reader, read);
    bool told = false;
    if (read->end == TD_READ_GAP) {
        check_gap(sim, reader, read);
        told = true;
    }
    uint64_t before = reader->position;
    bool stays = told && read->gap_reason == TD_GAP_RETENTION;
    TD_MUST(!stays || read->gap_to > reader->gap_told, "a gap up to %llu is told twice",
            (unsigned long long)read->gap_to);
    reader->position = told && !stays ? read->gap_to : read->position;
    if (stays) {
        reader->gap_told = read->gap_to;
        reader->told = td_told_upto(read->gap_to);
        reader->oldest = false;
    }
    TD_MUST(!reader->must_hear || reader->position == before,
            "reader %td had seen events that a crash took back, and went from %llu to %llu untold",
            reader - sim->readers, (unsigned long long)before,
            (unsigned long long)reader->position);
    reader->idle_turns = reader->position != before || stays ? 0 : reader->idle_turns + 1;
    if (read->n > 0 || told)
        td_world_say("reader %td: %zu records, now at %llu, end %d", reader - sim->readers, read->n,
                     (unsigned long long)reader->position, (int)read->end);
    return read->end;
}

void sim_read(struct sim_journal *sim, struct sim_reader *reader)
{
    uint64_t readable = td_journal_readable(sim->journal);
    struct td_read read = {.until = readable};

    /* A worker reads up to where it is itself, which was the readable head once: never inside a hole. */
    size_t from = td_model_after(&sim->model, reader->position);
    size_t upto = td_model_after(&sim->model, readable);
    if (td_rng_one_in(&sim->rng, 4) && upto > from)
        read.until = sim->model.events[from + td_rng_below(&sim->rng, upto - from)].seq;
    enum td_read_end end = read_once(sim, reader, &read);
    TD_MUST(end != TD_READ_BUDGET || reader->idle_turns < 3,
            "reader %td: no progress at %llu within the budget", reader - sim->readers,
            (unsigned long long)reader->position);
    if (end == TD_READ_COLD)
        sim_keep(sim);
    if (td_rng_one_in(&sim->rng, 2))
        sim_quiesce(sim, reader->handle, td_rng_one_in(&sim->rng, 4));
}

void sim_read_out(struct sim_journal *sim, struct sim_reader *reader)
{
    for (unsigned turn = 0; reader->position != td_journal_readable(sim->journal); turn++) {
        TD_MUST(turn < 100000, "reader %td does not come to the end: at %llu of %llu",
                reader - sim->readers, (unsigned long long)reader->position,
                (unsigned long long)td_journal_readable(sim->journal));
        sim_read(sim, reader);
        TD_MUST(reader->idle_turns < 50, "reader %td stands still at %llu of %llu",
                reader - sim->readers, (unsigned long long)reader->position,
                (unsigned long long)td_journal_readable(sim->journal));
    }
}

void sim_ask_trimmed(struct sim_journal *sim)
{
    const struct sim_reader *reader = &sim->readers[td_rng_below(&sim->rng, SIM_READERS)];
    uint64_t after = random_position(sim);

    if (!reader->on)
        return;
    bool answer = td_journal_trimmed_after(sim->handles[reader->handle], &reader->wanted[0], after);
    uint64_t horizon = td_journal_horizon(sim->journal);
    bool truth = td_model_gone(&sim->model, reader->wanted, 1, after, UINT64_MAX);
    TD_MUST(answer || !truth, "something of %s after %llu was trimmed, and it says no",
            reader->patterns[0], (unsigned long long)after);
    TD_MUST(!answer || truth || sim->blurred || !reader->wanted[0].exact,
            "nothing of %s after %llu was trimmed (horizon %llu), and it says yes",
            reader->patterns[0], (unsigned long long)after, (unsigned long long)horizon);
}

void sim_ask_newest(struct sim_journal *sim)
{
    const struct sim_reader *reader = &sim->readers[td_rng_below(&sim->rng, SIM_READERS)];
    struct td_read read = {.wanted = reader->wanted, .n_wanted = reader->n_wanted};
    uint64_t horizon = td_journal_horizon(sim->journal);
    size_t n = 0;

    if (!reader->on)
        return;
    read.until = td_journal_readable(sim->journal);
    read.records_max = 1 + (size_t)td_rng_below(&sim->rng, 30);
    read.examined_max = td_rng_one_in(&sim->rng, 2) ? 0 : 1 + (size_t)td_rng_below(&sim->rng, 100);
    td_journal_newest(sim->handles[reader->handle], &read);
    if (read.end == TD_READ_COLD) {
        sim_keep(sim);
        return;
    }
    TD_MUST(read.end == TD_READ_DONE || (read.end == TD_READ_BUDGET && read.examined_max > 0),
            "newest ends with %d", (int)read.end);
    for (size_t i = td_model_after(&sim->model, read.position);
         i < sim->model.n && sim->model.events[i].seq <= read.until; i++)
        n += !sim->model.events[i].gone &&
             td_model_wants(reader->wanted, reader->n_wanted, &sim->model.events[i]);
    /* The model keeps what is damaged: the log need not count it. */
    if (sim->damaged)
        return;
    TD_MUST(n <= read.records_max, "newest %zu gives %zu", read.records_max, n);
    if (read.end == TD_READ_BUDGET)
        return;
    TD_MUST(n == read.records_max || read.position <= horizon ||
                !td_model_matches(&sim->model, reader->wanted, reader->n_wanted, horizon,
                                  read.position),
            "newest %zu gives %zu after %llu, but there are older ones", read.records_max, n,
            (unsigned long long)read.position);
}
