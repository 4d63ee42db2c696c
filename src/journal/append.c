/* SPDX-License-Identifier: Apache-2.0 */
/* Appending: a batch is planned (what is new, what is known), built in one buffer and written with one pwrite. */
#include "base/assert.h"
#include "base/err.h"
#include "journal/encode.h"
#include "journal/internal.h"
#include "os/clock.h"
#include "os/file.h"
#include <errno.h>
#include <stdlib.h>

struct td_plan {
    bool has_dedup;
    struct td_record_dedup hash;
    uint64_t known_seq; /* what the window answers; 0: a new record */
    size_t same_as;  /* the index of an earlier draft of the batch with the same key, or its own */
    uint32_t offset; /* of the new record in the staging buffer */
};

struct planned {
    size_t n_new, last_new;
    uint64_t bytes_max;
};

static int reserve(struct td_journal *journal, size_t n)
{
    if (n <= journal->plan_cap)
        return 0;
    struct td_plan *plan = realloc(journal->plan, n * sizeof(*plan));
    if (!plan)
        return -ENOMEM;
    journal->plan = plan;
    journal->plan_cap = n;
    return 0;
}

static int reserve_staging(struct td_journal *journal, uint64_t bytes)
{
    if (bytes <= journal->staging_cap)
        return 0;
    size_t cap = TD_ALIGN_UP((size_t)bytes, 64 * TD_KIB);
    char *staging = realloc(journal->staging, cap);
    if (!staging)
        return -ENOMEM;
    journal->staging = staging;
    journal->staging_cap = cap;
    return 0;
}

/* Looks for a key in the window and among the earlier drafts of the batch (`batch_keys`: from hash to index + 1). */
static int plan_dedup(struct td_journal *journal, size_t i, struct td_map *batch_keys, td_ns now)
{
    struct td_plan *plan = &journal->plan[i];
    int64_t known = td_dedup_find(&journal->dedup, &plan->hash, now);
    bool new;

    if (known != 0) {
        plan->known_seq = known > 0 ? (uint64_t)known : 0;
        return known < 0 ? (int)known : 0;
    }
    size_t *first = td_map_put(batch_keys, plan->hash.key[0] ^ plan->hash.key[1], &new);
    if (!first)
        return -ENOMEM;
    if (new) {
        *first = i;
        return 0;
    }
    plan->same_as = *first;
    return journal->plan[*first].hash.content == plan->hash.content ? 0 : TD_EMISMATCH;
}

/* What the new draft `i` does to the state. */
static int plan_state(struct td_journal *journal, const struct td_draft *draft, td_unix_ms now)
{
    unsigned flags = td_state_flags(draft);

    if (draft->key.len == 0)
        return 0;
    if (journal->n_keyed == journal->keyed_cap) {
        size_t cap = journal->keyed_cap ? journal->keyed_cap * 2 : 16;
        struct td_state_event *keyed = realloc(journal->keyed, cap * sizeof(*keyed));
        if (!keyed)
            return -ENOMEM;
        journal->keyed = keyed;
        journal->keyed_cap = cap;
    }
    struct td_state_event *event = &journal->keyed[journal->n_keyed++];
    *event = (struct td_state_event){
        .topic = draft->topic,
        .time = now,
        .append = flags & TD_RECORD_APPEND,
        .begins = flags & TD_RECORD_BEGINS,
        .removes = flags & TD_RECORD_REMOVES,
    };
    td_state_hash(journal->seed, draft->topic, draft->key, event->key);
    return 0;
}

static int plan_batch(struct td_journal *journal, const struct td_batch *batch, td_unix_ms now,
                      struct planned *ret_planned)
{
    struct planned planned = {0};
    struct td_map batch_keys;
    td_ns monotonic = td_clock_ns();
    int r = reserve(journal, batch->n);

    td_map_init(&batch_keys, sizeof(size_t));
    journal->n_keyed = 0;
    for (size_t i = 0; r == 0 && i < batch->n; i++) {
        struct td_plan *plan = &journal->plan[i];
        *plan = (struct td_plan){.same_as = i};
        plan->has_dedup = td_dedup_hash(&journal->dedup, batch, i, &plan->hash);
        if (plan->has_dedup)
            r = plan_dedup(journal, i, &batch_keys, monotonic);
        if (plan->known_seq > 0 || plan->same_as != i)
            continue;
        planned.n_new++;
        planned.last_new = i;
        if (r == 0)
            r = plan_state(journal, &batch->drafts[i], now);
        planned.bytes_max += td_record_size_max(&batch->drafts[i]);
        if (planned.bytes_max > journal->options.segment_bytes - sizeof(struct td_segment_header))
            r = r < 0 ? r : TD_ETOOLARGE;
    }
    td_map_done(&batch_keys);
    if (r == 0 && journal->n_keyed > 0)
        r = td_state_check(&journal->state, journal->keyed, journal->n_keyed);
    if (r == 0)
        *ret_planned = planned;
    return r;
}

static int take(struct td_journal *journal, size_t n, uint64_t *ret_first)
{
    struct td_sequencer *sequencer = journal->options.sequencer;
    uint64_t last = TD_MAX(journal->last_seq, journal->jump_to);
    int r = 0;

    if (sequencer)
        r = sequencer->take(sequencer, last, n, ret_first);
    else
        *ret_first = last + 1;
    TD_ASSERT(r < 0 || *ret_first > last);
    return r;
}

/* Builds the new records and writes the sequence of every draft; returns the bytes. */
static uint32_t build(struct td_journal *journal, const struct td_batch *batch,
                      const struct planned *planned, struct td_stamp *stamp, uint64_t *ret_seqs)
{
    size_t keyed = 0;
    uint32_t at = 0;

    for (size_t i = 0; i < batch->n; i++) {
        struct td_plan *plan = &journal->plan[i];
        if (plan->known_seq > 0 || plan->same_as != i) {
            ret_seqs[i] = plan->known_seq > 0 ? plan->known_seq : ret_seqs[plan->same_as];
            continue;
        }
        stamp->flags = (plan->has_dedup ? TD_RECORD_DEDUP : 0) |
                       (i == planned->last_new ? TD_RECORD_LAST : 0) |
                       td_state_flags(&batch->drafts[i]);
        stamp->dedup = &plan->hash;
        plan->offset = at;
        ret_seqs[i] = stamp->seq;
        if (batch->drafts[i].key.len > 0) {
            struct td_state_event *event = &journal->keyed[keyed++];
            event->seq = stamp->seq;
            if (event->begins && !(stamp->flags & TD_RECORD_BEGINS))
                stamp->flags |= TD_RECORD_STARTS;
        }
        at += td_record_encode(&batch->drafts[i], stamp, journal->staging + at);
        stamp->seq++;
    }
    return at;
}

/* Makes what has been written part of the log. */
static void publish(struct td_journal *journal, const struct td_batch *batch,
                    const struct td_stamp *stamp, uint32_t bytes, const uint64_t *seqs)
{
    struct td_segment *segment = journal->open;
    uint32_t end = atomic_load_explicit(&segment->end, memory_order_relaxed);
    td_ns now = td_clock_ns();

    td_mutex_lock(&journal->index_lock);
    for (size_t i = 0; i < batch->n; i++) {
        const struct td_plan *plan = &journal->plan[i];
        if (plan->known_seq == 0 && plan->same_as == i)
            td_index_add(segment->index, journal->staging + plan->offset, end + plan->offset);
    }
    td_mutex_unlock(&journal->index_lock);
    for (size_t i = 0; i < batch->n; i++) {
        const struct td_plan *plan = &journal->plan[i];
        if (!plan->has_dedup || plan->known_seq > 0 || plan->same_as != i)
            continue;
        struct td_index_dedup entry = {
            .key = {plan->hash.key[0], plan->hash.key[1]},
            .content = plan->hash.content,
            .seq = seqs[i],
            .time = stamp->time,
        };
        td_dedup_add(&journal->dedup, &entry, 0, now);
    }
    if (journal->n_keyed > 0)
        td_state_apply(&journal->state, journal->keyed, journal->n_keyed,
                       td_journal_durable(journal));
    if (segment->first_time == 0)
        segment->first_time = stamp->time;
    segment->last_time = TD_MAX(segment->last_time, stamp->time);
    segment->synced = false;
    journal->last_seq = stamp->seq - 1;
    atomic_store_explicit(&segment->last_seq, journal->last_seq, memory_order_relaxed);
    atomic_store_explicit(&segment->end, end + bytes, memory_order_release);
    atomic_store_explicit(&journal->head, journal->last_seq, memory_order_release);
}

int td_journal_known(struct td_journal *journal, const struct td_batch *batch, uint64_t *ret_seqs)
{
    struct td_record_dedup hash;
    td_ns now = td_clock_ns();
    int r = 0;

    td_mutex_lock(&journal->lock);
    for (size_t i = 0; i < batch->n && r == 0; i++) {
        int64_t known = 0;
        if (td_dedup_hash(&journal->dedup, batch, i, &hash))
            known = td_dedup_find(&journal->dedup, &hash, now);
        ret_seqs[i] = known > 0 ? (uint64_t)known : 0;
        r = known < 0 ? (int)known : 0;
    }
    td_mutex_unlock(&journal->lock);
    return r;
}

uint64_t td_journal_last(struct td_journal *journal, struct td_slice topic)
{
    td_mutex_lock(&journal->lock);
    uint64_t seq = td_journal_last_of(journal, topic);
    td_mutex_unlock(&journal->lock);
    return seq;
}

/* Whether the last record of a topic is the one that the batch was made for. */
static int check_expected(struct td_journal *journal, const struct td_batch *batch)
{
    if (!batch->expect)
        return 0;
    return td_journal_last_of(journal, batch->expect_topic) == batch->expect_seq ? 0 : TD_ECONFLICT;
}

static int writable(struct td_journal *journal, size_t n)
{
    if (journal->options.read_only)
        return -EROFS;
    if (journal->sync_failed)
        return TD_ELOGFAILED;
    if (journal->retry_at > 0 && td_clock_ns() < journal->retry_at)
        return atomic_load(&journal->health);
    uint64_t waiting = atomic_load(&journal->appended) - journal->synced_events;
    return n > TD_UNCLEAN_JUMP || waiting > TD_UNCLEAN_JUMP - n ? TD_EUNAVAILABLE : 0;
}

static int write_new(struct td_journal *journal, const struct td_batch *batch,
                     const struct planned *planned, td_unix_ms now, uint64_t *ret_seqs)
{
    char time_text[TD_TIME_LEN + 1];
    struct td_stamp stamp = {
        .epoch = journal->epoch,
        .synced = atomic_load_explicit(&journal->durable, memory_order_relaxed),
        .time = now,
        .time_text = time_text,
    };
    int r = writable(journal, planned->n_new);

    if (r == 0)
        r = reserve_staging(journal, planned->bytes_max);
    if (r == 0)
        r = take(journal, planned->n_new, &stamp.seq);
    if (r == 0)
        r = td_journal_make_room(journal, stamp.seq, planned->bytes_max);
    if (r < 0)
        return r;
    td_time_format(now, time_text);
    uint32_t bytes = build(journal, batch, planned, &stamp, ret_seqs);
    struct td_segment *segment = journal->open;
    uint32_t end = atomic_load_explicit(&segment->end, memory_order_relaxed);
    TD_ASSERT(end + (uint64_t)bytes <= segment->capacity);
    r = td_file_write_at(segment->file, journal->staging, bytes, end);
    if (r < 0) {
        td_journal_write_failed(journal);
        return r;
    }
    publish(journal, batch, &stamp, bytes, ret_seqs);
    atomic_fetch_add_explicit(&journal->appended, planned->n_new, memory_order_relaxed);
    return 0;
}

int td_journal_append(struct td_journal *journal, const struct td_batch *batch, uint64_t *ret_seqs)
{
    td_unix_ms now = td_clock_unix_ms();
    struct planned planned;

    TD_ASSERT(batch->n > 0);
    td_mutex_lock(&journal->lock);
    int r = plan_batch(journal, batch, now, &planned);
    /* What is known already is answered as before, also when its own effect has made the condition false. */
    if (r == 0 && planned.n_new > 0)
        r = check_expected(journal, batch);
    if (r == 0 && planned.n_new > 0) {
        r = td_journal_note_health(journal, write_new(journal, batch, &planned, now, ret_seqs));
        if (r == 0 && journal->committer_idle)
            td_cond_signal(&journal->commit_wanted);
    } else if (r == 0) {
        for (size_t i = 0; i < batch->n; i++)
            ret_seqs[i] = journal->plan[i].known_seq;
    }
    td_mutex_unlock(&journal->lock);
    if (r == 0 && planned.n_new > 0 && journal->options.durability == TD_DURABILITY_FAST)
        td_journal_wake_readers(journal);
    return r;
}
