/* SPDX-License-Identifier: Apache-2.0 */
/* Appends random batches and checks each answer. */
#include "base/assert.h"
#include "base/err.h"
#include "journal_world.h"
#include "os/clock.h"
#include <errno.h>

#define SEGMENT_SLACK 512 /* what a segment needs besides records */

/* What the window should say of a draft. */
enum memory {
    NEW,
    KNOWN,
    UNSURE, /* beyond what is promised: may be known or not */
};

struct draft {
    struct td_model_event event;
    uint32_t key; /* of the window: the event's own, or made of the batch's; 0: none */
    enum memory memory;
    uint64_t known_seq;
    size_t same_as; /* an earlier draft that is the same, or its own index */
};

struct attempt {
    struct draft drafts[SIM_BATCH_MAX];
    struct td_model_text *texts;
    size_t n;
    struct td_batch batch;
    unsigned expect_topic;
    bool expect_sure; /* the last of it is not trimmed */
    uint32_t batch_key;
    char batch_key_text[16];
    bool unsure, mismatch, possible_mismatch;
    size_t n_new;
    uint64_t bytes, bytes_least;
};

static enum memory recall(const struct sim_journal *sim, const struct td_model_known *known)
{
    if (!known)
        return NEW;
    if (td_clock_ns() > known->until)
        return known->read && sim->wall_jumps ? UNSURE : NEW;
    if (known->unsure || sim->model.keys - known->nth > sim->options.dedup_max)
        return UNSURE;
    return KNOWN;
}

static struct td_model_event event_new(struct sim_journal *sim)
{
    struct td_rng *rng = &sim->rng;
    struct td_model_event event = {
        .number = ++sim->next_number,
        .topic = (uint16_t)td_rng_below(rng, td_rng_one_in(rng, 2) ? 6 : TD_MODEL_TOPICS),
    };

    event.content = event.number;
    event.pad = (uint16_t)td_rng_below(rng, td_rng_one_in(rng, 8) ? 2000 : 120);
    if (td_rng_one_in(rng, 60))
        event.pad = (uint16_t)td_rng_below(rng, TD_MIN(sim->options.segment_bytes, 65000));
    return event;
}

/* Gives the draft the key of something that was published before, with that content or another. */
static void draft_repeat(struct sim_journal *sim, struct attempt *attempt, struct draft *draft)
{
    uint32_t key = 1 + (uint32_t)td_rng_below(&sim->rng, 60);
    const struct td_model_known *known = td_model_known(&sim->model, key);

    for (size_t i = 0; i < attempt->n; i++)
        if (attempt->drafts[i].key == key)
            return;
    if (known && !td_rng_one_in(&sim->rng, 8))
        draft->event = known->event;
    draft->event.dedup = key;
    draft->key = key;
}

static void say_draft(const struct draft *draft)
{
    static const char *const memories[] = {"new", "known", "unsure"};

    if (draft->key)
        td_world_say("  under key %u content %u: %s at %llu", draft->key, draft->event.content,
                     memories[draft->memory], (unsigned long long)draft->known_seq);
}

static void draft_look(struct sim_journal *sim, struct attempt *attempt, size_t i)
{
    struct draft *draft = &attempt->drafts[i];

    draft->same_as = i;
    for (size_t j = 0; draft->key && j < i; j++)
        if (attempt->drafts[j].key == draft->key) {
            draft->same_as = attempt->drafts[j].same_as;
            draft->memory = attempt->drafts[j].memory;
            return;
        }
    const struct td_model_known *known =
        draft->key ? td_model_known(&sim->model, draft->key) : NULL;
    draft->memory = recall(sim, known);
    if (known)
        draft->known_seq = known->seq;
    if (draft->memory != NEW && !td_model_same(&known->event, &draft->event)) {
        attempt->mismatch |= draft->memory == KNOWN;
        attempt->possible_mismatch = true;
    }
    say_draft(draft);
    attempt->unsure |= draft->memory == UNSURE;
    if (draft->memory == KNOWN)
        return;
    attempt->n_new += draft->memory == NEW;
    attempt->bytes += td_model_bytes_max(&draft->event);
    if (draft->memory == NEW)
        attempt->bytes_least += td_model_removes(&draft->event) ? 100U : 100U + draft->event.pad;
}

/* A batch with a key of its own: a new one, or one of the last repeated. */
static void plan_keyed(struct sim_journal *sim, struct attempt *attempt)
{
    struct sim_batch *batch = &sim->batches[td_rng_below(&sim->rng, TD_ARRAY_LEN(sim->batches))];

    if (batch->key == 0 || td_rng_one_in(&sim->rng, 3)) {
        batch->key = ++sim->next_number;
        batch->n = attempt->n;
        for (size_t i = 0; i < attempt->n; i++) {
            batch->events[i] = event_new(sim);
            batch->events[i].pad %= 200;
        }
    }
    attempt->n = batch->n;
    attempt->batch_key = batch->key;
    for (size_t i = 0; i < batch->n; i++) {
        attempt->drafts[i].event = batch->events[i];
        attempt->drafts[i].key = 1U << 31 | batch->key << 4 | (uint32_t)i;
    }
    int n = snprintf(attempt->batch_key_text, sizeof attempt->batch_key_text, "b%u", batch->key);
    attempt->batch.dedup = td_slice(attempt->batch_key_text, (size_t)n);
    attempt->batch.dedup_scope = TD_S("ann");
}

static void plan(struct sim_journal *sim, struct attempt *attempt)
{
    struct td_rng *rng = &sim->rng;
    size_t n = td_rng_one_in(rng, 3) ? 1 + (size_t)td_rng_below(rng, SIM_BATCH_MAX) : 1;

    if (td_rng_one_in(rng, 8)) {
        attempt->n = n;
        plan_keyed(sim, attempt);
    } else {
        for (attempt->n = 0; attempt->n < n; attempt->n++) {
            struct draft *draft = &attempt->drafts[attempt->n];

            if (attempt->n > 0 && td_rng_one_in(rng, 10)) {
                *draft = draft[-1];
                if (draft->key)
                    continue;
            }
            *draft = (struct draft){.event = event_new(sim)};
            if (td_rng_one_in(rng, 4))
                draft_repeat(sim, attempt, draft);
        }
    }
    for (size_t i = 0; i < attempt->n; i++)
        draft_look(sim, attempt, i);
    if (td_rng_one_in(rng, 5)) {
        attempt->expect_topic = attempt->drafts[0].event.topic;
        attempt->batch.expect = true;
        attempt->batch.expect_topic = td_model_topic(attempt->expect_topic);
        attempt->batch.expect_seq =
            td_model_last_of(&sim->model, attempt->expect_topic, &attempt->expect_sure);
        if (td_rng_one_in(rng, 3))
            attempt->batch.expect_seq = td_rng_below(rng, attempt->batch.expect_seq + 2);
    }
}

static bool expected_holds(const struct sim_journal *sim, const struct attempt *attempt)
{
    bool sure;

    return !attempt->batch.expect ||
           td_model_last_of(&sim->model, attempt->expect_topic, &sure) == attempt->batch.expect_seq;
}

/* Each new event into the model, each repeat compared. */
static void accepted(struct sim_journal *sim, struct attempt *attempt, const uint64_t *seqs,
                     uint64_t head_before)
{
    uint64_t batch = ++sim->next_batch;
    size_t appended = 0;

    TD_MUST(!attempt->mismatch, "a dedup key with other content was accepted");
    for (size_t i = 0; i < attempt->n; i++) {
        struct draft *draft = &attempt->drafts[i];

        if (draft->same_as != i) {
            TD_MUST(seqs[i] == seqs[draft->same_as],
                    "a draft repeated in a batch got %llu, not %llu", (unsigned long long)seqs[i],
                    (unsigned long long)seqs[draft->same_as]);
            continue;
        }
        if (draft->memory == KNOWN || (draft->memory == UNSURE && seqs[i] <= head_before)) {
            /* Of a key whose newest record is damaged, an older one may be found. */
            /* Or of one whose newest record has been trimmed before it, which state or another group has kept. */
            TD_MUST(seqs[i] == draft->known_seq || draft->memory == UNSURE,
                    "a repeat under dedup key %u got %llu, the first had %llu", draft->key,
                    (unsigned long long)seqs[i], (unsigned long long)draft->known_seq);
            continue;
        }
        TD_MUST(seqs[i] > head_before && seqs[i] > sim->model.promised,
                "a new event got the sequence %llu, but %llu was given and %llu readable before",
                (unsigned long long)seqs[i], (unsigned long long)head_before,
                (unsigned long long)sim->model.promised);
        draft->event.seq = seqs[i];
        draft->event.batch = batch;
        draft->event.time = td_clock_unix_ms();
        draft->event.gone = false;
        td_model_add(&sim->model, &draft->event);
        if (draft->key)
            td_model_remember(&sim->model, draft->key, &draft->event, td_clock_unix_ms(),
                              td_clock_ns() + sim->options.dedup_window_ms * TD_NS_PER_MS);
        appended++;
    }
    sim->appends += appended;
    td_world_say("appended %zu of %zu: up to %llu%s", appended, attempt->n,
                 (unsigned long long)seqs[attempt->n - 1],
                 attempt->batch.expect ? " as expected" : "");
}

/* The process died in the call: what it was about to append is there, or is not. */
static void died(struct sim_journal *sim, const struct attempt *attempt)
{
    struct td_model *model = &sim->model;

    if (model->maybe_cap < attempt->n) {
        model->maybe_cap = SIM_BATCH_MAX;
        model->maybe = realloc(model->maybe, model->maybe_cap * sizeof *model->maybe);
        TD_ASSERT(model->maybe);
    }
    model->n_maybe = 0;
    model->maybe_sure = !attempt->unsure;
    for (size_t i = 0; i < attempt->n; i++) {
        const struct draft *draft = &attempt->drafts[i];

        if (draft->memory != KNOWN && draft->same_as == i) {
            model->maybe[model->n_maybe] = draft->event;
            model->maybe[model->n_maybe].seq = 0;
            model->maybe[model->n_maybe].key = draft->key;
            model->maybe[model->n_maybe++].batch = sim->next_batch + 1;
        }
    }
    sim->next_batch++;
}

static void refused(struct sim_journal *sim, const struct attempt *attempt, int err,
                    bool write_failed)
{
    uint64_t room = sim->options.segment_bytes - SEGMENT_SLACK;

    sim->refusals++;
    td_world_say("append of %zu refused: %s", attempt->n, td_err_name(err));
    if (td_sim_dead())
        return;
    switch (err) {
    case TD_EMISMATCH:
        TD_MUST(attempt->mismatch || attempt->possible_mismatch || attempt->unsure,
                "a mismatch of the same content");
        return;
    case TD_ECONFLICT:
        TD_MUST(!expected_holds(sim, attempt) || !attempt->expect_sure || sim->damaged,
                "a conflict, but the last of %.*s is %llu", (int)attempt->batch.expect_topic.len,
                attempt->batch.expect_topic.ptr, (unsigned long long)attempt->batch.expect_seq);
        return;
    case TD_ETOOLARGE:
        TD_MUST(attempt->bytes > room, "%llu bytes are said to be too large",
                (unsigned long long)attempt->bytes);
        return;
    case TD_ESTATEKEYS:
        TD_MUST(sim->damaged || sim_state_keys(sim) + attempt->n > sim->options.state_keys_max,
                "too many keys are said to be there, but there are %zu", sim_state_keys(sim));
        return;
    case TD_ELOGFAILED:
        TD_MUST(sim->sync_failed, "the log is said to have failed, but no sync has");
        return;
    case TD_EFULL:
        TD_MUST(sim->faults_on || td_clock_ns() < sim->faults_until_ns,
                "the disk is said to be full, but it is not");
        return;
    default: TD_MUST(write_failed, "append: %s without cause", td_err_name(err));
    }
}

void sim_publish(struct sim_journal *sim)
{
    struct attempt attempt = {0};
    struct td_draft drafts[SIM_BATCH_MAX];
    struct td_journal_stat before, after;
    uint64_t seqs[SIM_BATCH_MAX] = {0};
    bool armed = td_sim_disk_get().fail_write_in > 0;
    bool armed_sync = td_sim_disk_get().fail_sync_in > 0;

    plan(sim, &attempt);
    attempt.texts = calloc(attempt.n, sizeof *attempt.texts);
    TD_ASSERT(attempt.texts);
    for (size_t i = 0; i < attempt.n; i++) {
        struct td_model_event event = attempt.drafts[i].event;

        drafts[i] = td_model_draft(&event, &attempt.texts[i]);
    }
    attempt.batch.drafts = drafts;
    attempt.batch.n = attempt.n;
    td_journal_stat(sim->journal, &before);
    int err = td_journal_append(sim->journal, &attempt.batch, seqs);
    free(attempt.texts);
    bool sync_failed = armed_sync && td_sim_disk_get().fail_sync_in == 0;
    sim->sync_failed |= sync_failed;
    td_journal_stat(sim->journal, &after);
    if (err == 0) {
        TD_MUST(!td_sim_dead() || attempt.n_new == 0, "a dead process appended");
        TD_MUST(attempt.unsure || attempt.n_new == 0 || !attempt.expect_sure ||
                    expected_holds(sim, &attempt),
                "appended although the last of the topic is another");
        TD_MUST(attempt.bytes_least < sim->options.segment_bytes, "a batch too large was taken");
        accepted(sim, &attempt, seqs, before.head);
        return;
    }
    TD_MUST(after.head == before.head, "a refused append moved the head");
    bool failed = armed && td_sim_disk_get().fail_write_in == 0;
    failed |= sync_failed;
    refused(sim, &attempt, err, failed);
    if (td_sim_dead())
        died(sim, &attempt);
}
