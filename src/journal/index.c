/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/index.h"
#include "base/assert.h"
#include "journal/record.h"
#include <stdlib.h>

struct td_index *td_index_new(uint64_t seed)
{
    struct td_index *index = calloc(1, sizeof(*index));

    TD_ASSERT(index);
    td_map_init(&index->keys, sizeof(struct td_posting));
    td_map_init(&index->parts.map, sizeof(uint32_t));
    index->seed = seed;
    index->all_key = td_pattern_key(seed, TD_S("**"), NULL);
    return index;
}

static void posting_done(struct td_posting *posting)
{
    if (posting->cap > 0)
        free(posting->many);
}

void td_index_free(struct td_index *index)
{
    struct td_posting *posting;
    size_t cursor = 0;
    uint64_t key;

    if (!index)
        return;
    while ((posting = td_map_each(&index->keys, &cursor, &key)))
        posting_done(posting);
    td_map_done(&index->keys);
    posting_done(&index->all);
    td_parts_done(&index->parts);
    free(index->dedups);
    free(index);
}

static void posting_add(struct td_posting *posting, uint32_t offset)
{
    if (posting->cap == 0 && posting->n < TD_ARRAY_LEN(posting->few)) {
        posting->few[posting->n++] = offset;
        return;
    }
    if (posting->n >= posting->cap) {
        uint32_t cap = posting->cap ? posting->cap * 2 : 8;
        uint32_t *many = realloc(posting->cap ? posting->many : NULL, cap * sizeof(*many));
        TD_ASSERT(many);
        if (posting->cap == 0)
            memcpy(many, posting->few, sizeof(posting->few));
        posting->many = many;
        posting->cap = cap;
    }
    posting->many[posting->n++] = offset;
}

static struct td_offsets offsets_of(const struct td_posting *posting)
{
    return (struct td_offsets){posting->cap ? posting->many : posting->few, posting->n};
}

static void add_dedup(struct td_index *index, const char *bytes)
{
    struct td_record_dedup dedup;
    struct td_record_head head;

    memcpy(&head, bytes, sizeof(head));
    memcpy(&dedup, bytes + sizeof(head), sizeof(dedup));
    if (index->n_dedups == index->dedups_cap) {
        size_t cap = index->dedups_cap ? index->dedups_cap * 2 : 64;
        struct td_index_dedup *dedups = realloc(index->dedups, cap * sizeof(*dedups));
        TD_ASSERT(dedups);
        index->dedups = dedups;
        index->dedups_cap = cap;
    }
    index->dedups[index->n_dedups++] = (struct td_index_dedup){
        .key = {dedup.key[0], dedup.key[1]},
        .content = dedup.content,
        .seq = head.seq,
        .time = head.time,
    };
}

uint64_t td_kept_key(uint64_t seed)
{
    return td_topic_key(seed, TD_S("* kept")); /* which no topic can be */
}

uint64_t td_kept_topic_key(uint64_t seed, struct td_slice topic)
{
    return td_topic_key(~seed, topic);
}

/* The keys under which a record is filed, but for `**`. */
static size_t keys_of(const struct td_index *index, const struct td_record *record,
                      uint64_t ret_keys[TD_TOPIC_KEYS_MAX])
{
    if (!(record->flags & TD_RECORD_KEPT))
        return td_topic_keys(index->seed, record->topic, ret_keys);
    ret_keys[0] = td_kept_key(index->seed);
    ret_keys[1] = td_kept_topic_key(index->seed, record->topic);
    return 2;
}

void td_index_add(struct td_index *index, const char *bytes, uint32_t offset)
{
    uint64_t keys[TD_TOPIC_KEYS_MAX];
    struct td_record record;

    td_record_view(bytes, &record);
    size_t n = keys_of(index, &record, keys);
    for (size_t i = 0; i < n; i++) {
        if (keys[i] == index->all_key)
            continue;
        struct td_posting *posting = td_map_put(&index->keys, keys[i], NULL);
        TD_ASSERT(posting);
        /* Two keys of one topic may fall together; once is enough. */
        struct td_offsets offsets = offsets_of(posting);
        if (offsets.n == 0 || offsets.at[offsets.n - 1] < offset)
            posting_add(posting, offset);
    }
    if (!(record.flags & TD_RECORD_KEPT))
        posting_add(&index->all, offset);
    /* Of a batch of which one record is state the others have gone: it is known as a whole, or not at all. */
    if ((record.flags & TD_RECORD_DEDUP) && !(record.flags & TD_RECORD_KEPT))
        add_dedup(index, bytes);
    if (record.key.len > 0)
        td_parts_add(&index->parts, index->seed, &record, offset);
}

struct td_offsets td_index_get(const struct td_index *index, uint64_t key)
{
    if (key == index->all_key)
        return offsets_of(&index->all);
    const struct td_posting *posting = td_map_get(&index->keys, key);
    return posting ? offsets_of(posting) : (struct td_offsets){NULL, 0};
}

uint32_t td_offsets_below(struct td_offsets offsets, uint32_t offset)
{
    uint32_t low = 0, high = offsets.n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (offsets.at[middle] < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t td_offsets_after(struct td_offsets all, const char *segment, uint64_t after)
{
    uint32_t low = 0, high = all.n;

    if (all.n == 0 || td_record_seq(segment + all.at[0]) > after)
        return 0;
    if (td_record_seq(segment + all.at[all.n - 1]) <= after)
        return all.n;
    /* Where nothing was left out, the sequence says the place: one look instead of a search. */
    uint64_t guess = after - td_record_seq(segment + all.at[0]);
    if (guess < all.n && td_record_seq(segment + all.at[guess]) == after)
        return (uint32_t)guess + 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (td_record_seq(segment + all.at[middle]) <= after)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
