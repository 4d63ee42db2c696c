/* SPDX-License-Identifier: Apache-2.0 */
/* The retained state against what the events say: worked out from the model each time, in the simplest way. */
#include "base/assert.h"
#include "journal_world.h"
#include "os/clock.h"

#define KEYS   2
#define CHAINS (TD_MODEL_TOPICS * KEYS)
#define TURNS  100000

/* What one topic and key have. */
struct chain {
    uint64_t *seqs;
    size_t n, cap;
    td_unix_ms time;
    bool append;
};

struct chains {
    struct chain at[CHAINS];
};

unsigned sim_group_of(const struct sim_journal *sim, unsigned topic)
{
    for (size_t i = 0; i < sim->options.n_groups; i++)
        for (size_t j = 0; j < sim->groups[i].n_patterns; j++)
            if (td_pattern_match(sim->groups[i].patterns[j], td_model_topic(topic)))
                return (unsigned)i + 1;
    return 0;
}

void sim_observe_trims(struct sim_journal *sim)
{
    uint64_t horizons[TD_GROUPS_MAX + 1];
    uint64_t horizon = td_journal_horizon(sim->journal);

    sim->looks++;
    for (size_t i = 0; i < td_journal_groups(sim->journal); i++) {
        struct td_group_stat stat;

        td_journal_group_stat(sim->journal, i, &stat);
        horizons[i] = TD_MAX(stat.horizon, horizon);
    }
    for (size_t i = 0; i < sim->model.n; i++) {
        struct td_model_event *event = &sim->model.events[i];

        if (event->gone || event->damaged || event->seq > horizons[sim_group_of(sim, event->topic)])
            continue;
        event->gone = true;
        event->gone_at = sim->looks;
    }
}

static unsigned chain_of(const struct td_model_event *event)
{
    return event->topic * KEYS + td_slice_eq(td_model_key(event), TD_S("k"));
}

static uint64_t ttl_of(const struct sim_journal *sim, unsigned topic)
{
    unsigned group = sim_group_of(sim, topic);

    return group == 0 ? sim->options.state_ttl_ms : sim->groups[group - 1].state_ttl_ms;
}

static void push(struct chain *chain, uint64_t seq)
{
    if (chain->n == chain->cap) {
        chain->cap = chain->cap ? chain->cap * 2 : 8;
        chain->seqs = realloc(chain->seqs, chain->cap * sizeof *chain->seqs);
        TD_ASSERT(chain->seqs);
    }
    chain->seqs[chain->n++] = seq;
}

static void apply(const struct sim_journal *sim, struct chain *chain,
                  const struct td_model_event *event)
{
    uint64_t ttl = ttl_of(sim, event->topic);
    bool append = td_model_class(event) == TD_CLASS_APPEND;

    if (td_model_removes(event)) {
        chain->n = 0;
        chain->append = false;
        chain->time = event->time;
        return;
    }
    bool old = ttl > 0 && event->time > chain->time && event->time - chain->time > ttl;
    if (!append || td_model_begins(event) || !chain->append || old)
        chain->n = 0;
    push(chain, event->seq);
    chain->append = append;
    chain->time = event->time;
}

static void chains_at(const struct sim_journal *sim, struct chains *chains, uint64_t as_of)
{
    const struct td_model *model = &sim->model;

    for (size_t i = 0; i < model->n && model->events[i].seq <= as_of; i++)
        if (td_model_key(&model->events[i]).len > 0)
            apply(sim, &chains->at[chain_of(&model->events[i])], &model->events[i]);
}

static void chains_done(struct chains *chains)
{
    for (size_t i = 0; i < CHAINS; i++)
        free(chains->at[i].seqs);
}

size_t sim_state_keys(const struct sim_journal *sim)
{
    struct chains chains = {0};
    size_t n = 0;

    chains_at(sim, &chains, UINT64_MAX);
    for (size_t i = 0; i < CHAINS; i++)
        n += chains.at[i].n > 0;
    chains_done(&chains);
    return n;
}

/* ---- reading it ---- */

struct reading {
    struct sim_journal *sim;
    struct chains got;
    struct td_slice topic; /* of the last */
    unsigned chain;        /* likewise */
    uint64_t first, seq;   /* of the last chain; the last */
    bool some;
};

/* Topics in order, in each the chains in the order in which they begin, and their events in order. */
static void take(struct reading *reading, const char *bytes)
{
    const struct td_model *model = &reading->sim->model;
    const struct td_model_event *event = td_model_get(model, td_record_seq(bytes));

    TD_MUST(event, "the state holds %llu, which is no event",
            (unsigned long long)td_record_seq(bytes));
    td_model_check(model, event, bytes);
    TD_MUST(td_model_key(event).len > 0 && !td_model_removes(event),
            "the state holds %llu, which leaves none", (unsigned long long)event->seq);
    struct td_slice topic = td_model_topic(event->topic);
    unsigned chain = chain_of(event);
    int order = reading->some ? td_slice_cmp(reading->topic, topic) : -1;
    TD_MUST(order <= 0, "the state's topics are out of order");
    if (order < 0 || chain != reading->chain) {
        TD_MUST(order < 0 || reading->first < event->seq || reading->sim->damaged,
                "the state's keys are out of order");
        TD_MUST(reading->got.at[chain].n == 0, "a key of the state comes twice");
        reading->first = event->seq;
    } else {
        TD_MUST(reading->seq < event->seq, "the state's chunks are out of order");
    }
    push(&reading->got.at[chain], event->seq);
    reading->topic = topic;
    reading->chain = chain;
    reading->seq = event->seq;
    reading->some = true;
}

static void read_all(struct reading *reading, const struct sim_reader *reader, uint64_t as_of)
{
    struct sim_journal *sim = reading->sim;
    struct td_state_cursor cursor = {0};
    const char *records[32];
    struct td_state_read read = {
        .wanted = reader->wanted,
        .n_wanted = reader->n_wanted,
        .as_of = as_of,
        .records = records,
        .cursor = &cursor,
    };
    unsigned turns = 0;

    do {
        read.records_max = 1 + (size_t)td_rng_below(&sim->rng, TD_ARRAY_LEN(records));
        read.bytes_max =
            td_rng_one_in(&sim->rng, 2) ? 0 : 1 + (size_t)td_rng_below(&sim->rng, 4096);
        read.topics_max = td_rng_one_in(&sim->rng, 2) ? 0 : 1 + (size_t)td_rng_below(&sim->rng, 9);
        td_journal_state(sim->handles[0], &read);
        TD_MUST(read.n <= read.records_max, "more of the state than there is room");
        for (size_t i = 0; i < read.n; i++)
            take(reading, records[i]);
        sim_quiesce(sim, 0, false);
        if (read.end == TD_READ_COLD)
            sim_keep(sim);
        TD_MUST(++turns < TURNS, "the state does not end");
    } while (read.end != TD_READ_DONE && !td_sim_dead());
}

/* ---- comparing ---- */

/* `replaced`: it may have gone while it was read, then it has no end. */
static bool is_chain(const struct chain *chain, const struct chain *got, bool replaced)
{
    return (got->n == chain->n || (replaced && got->n < chain->n)) &&
           memcmp(chain->seqs, got->seqs, got->n * sizeof *got->seqs) == 0;
}

static bool is_old(const struct chain *chain, uint64_t ttl)
{
    td_unix_ms now = td_clock_unix_ms();

    return ttl > 0 && now > chain->time && now - chain->time > ttl;
}

static void compare(const struct sim_journal *sim, const struct chains *then,
                    const struct chains *now, const struct chains *head, const struct chains *got,
                    unsigned i)
{
    const struct chain *chain = &then->at[i], *later = &now->at[i];
    uint64_t ttl = ttl_of(sim, i / KEYS);
    /* What is appended and not readable yet makes a key younger, if it was still there. */
    bool old = is_old(&head->at[i], ttl), maybe_old = old || is_old(later, ttl);
    bool unsure = ttl > 0 && sim->wall_jumps; /* what was too old may be younger again */
    bool replaced = chain->n > 0 && (later->n == 0 || later->seqs[0] != chain->seqs[0]);
    struct td_slice topic = td_model_topic(i / KEYS);

    if (got->at[i].n == 0) {
        TD_MUST(chain->n == 0 || maybe_old || unsure || replaced,
                "the state of %.*s, key %u, is not given: %llu", (int)topic.len, topic.ptr,
                i % KEYS, (unsigned long long)chain->seqs[0]);
        return;
    }
    TD_MUST(!old || unsure || later->n == 0, "the state of %.*s, key %u, is too old",
            (int)topic.len, topic.ptr, i % KEYS);
    TD_MUST(unsure || is_chain(chain, &got->at[i], replaced),
            "the state of %.*s, key %u: %zu events from %llu to %llu, not %zu to %llu",
            (int)topic.len, topic.ptr, i % KEYS, got->at[i].n,
            (unsigned long long)got->at[i].seqs[0],
            (unsigned long long)got->at[i].seqs[got->at[i].n - 1], chain->n,
            (unsigned long long)(chain->n > 0 ? chain->seqs[chain->n - 1] : 0));
}

static void check_as_of(struct sim_journal *sim, const struct sim_reader *reader, uint64_t as_of)
{
    struct reading reading = {.sim = sim};
    struct chains then = {0}, now = {0}, head = {0};

    read_all(&reading, reader, as_of);
    chains_at(sim, &then, as_of);
    chains_at(sim, &now, td_journal_readable(sim->journal));
    chains_at(sim, &head, UINT64_MAX);
    for (unsigned i = 0; i < CHAINS && !sim->damaged && !td_sim_dead(); i++) {
        const struct td_model_event event = {.topic = (uint16_t)(i / KEYS)};

        if (td_model_wants(reader->wanted, reader->n_wanted, &event))
            compare(sim, &then, &now, &head, &reading.got, i);
        else
            TD_MUST(reading.got.at[i].n == 0, "state of a topic that nobody asked for");
    }
    chains_done(&then);
    chains_done(&now);
    chains_done(&head);
    chains_done(&reading.got);
    sim->states++;
}

void sim_check_state(struct sim_journal *sim)
{
    uint64_t readable = td_journal_readable(sim->journal);
    struct sim_reader all = {.n_wanted = 1, .patterns = {"**"}};
    const struct sim_reader *reader = &sim->readers[td_rng_below(&sim->rng, SIM_READERS)];

    sim_reader_attach(sim, &all);
    if (!reader->on || td_rng_one_in(&sim->rng, 2))
        reader = &all;
    check_as_of(sim, reader, readable);
    size_t n = td_model_after(&sim->model, readable);
    if (n > 0 && !td_sim_dead())
        check_as_of(sim, reader, sim->model.events[td_rng_below(&sim->rng, n)].seq);
}
