/* SPDX-License-Identifier: Apache-2.0 */
/* What a segment leaves of the retained state, for a start that reads no records. */
#include "base/assert.h"
#include "base/crc32c.h"
#include "journal/state.h"
#include <stdlib.h>

static struct td_part *part_get(struct td_parts *parts, const uint64_t key[2])
{
    uint32_t *first = td_map_put(&parts->map, key[0], NULL);

    TD_ASSERT(first);
    for (uint32_t i = *first; i > 0; i = parts->at[i - 1].same)
        if (parts->at[i - 1].about.key[1] == key[1])
            return &parts->at[i - 1];
    if (parts->n == parts->cap) {
        uint32_t cap = parts->cap ? parts->cap * 2 : 16;
        struct td_part *at = realloc(parts->at, cap * sizeof(*at));
        TD_ASSERT(at);
        parts->at = at;
        parts->cap = cap;
    }
    struct td_part *part = &parts->at[parts->n++];
    *part = (struct td_part){.about = {.key = {key[0], key[1]}}, .same = *first};
    *first = parts->n;
    return part;
}

static void push(struct td_part *part, uint64_t seq)
{
    if (part->cap == 0 && part->n == 0) {
        part->one = seq;
        part->n = 1;
        return;
    }
    if (part->n >= part->cap) {
        uint32_t cap = TD_MAX(part->n * 2, 4U);
        uint64_t *seqs = realloc(part->cap > 0 ? part->seqs : NULL, cap * sizeof(*seqs));
        TD_ASSERT(seqs);
        if (part->cap == 0)
            seqs[0] = part->one;
        part->seqs = seqs;
        part->cap = cap;
    }
    part->seqs[part->n++] = seq;
}

void td_parts_add(struct td_parts *parts, uint64_t seed, const struct td_record *record,
                  uint32_t offset)
{
    struct td_state_event event;

    td_state_event_of(seed, record, &event);
    struct td_part *part = part_get(parts, event.key);
    struct td_index_state *about = &part->about;
    bool chunk = event.append && !event.begins && !event.removes;
    /* The first of a key may continue what is before the segment; one behind something else than a chunk begins a text. */
    if (!chunk || (part->n > 0 && !(about->flags & TD_STATE_APPEND))) {
        part->n = 0;
        about->flags = event.removes ? TD_STATE_REMOVES : TD_STATE_BEGINS;
    }
    if (event.append && !event.removes)
        about->flags |= TD_STATE_APPEND;
    about->time = event.time;
    about->topic_len = (uint8_t)record->topic.len;
    part->offset = offset;
    push(part, event.seq);
}

void td_parts_done(struct td_parts *parts)
{
    for (uint32_t i = 0; i < parts->n; i++)
        if (parts->at[i].cap > 0)
            free(parts->at[i].seqs);
    free(parts->at);
    td_map_done(&parts->map);
}

uint64_t td_parts_last_of(const struct td_parts *parts, const uint64_t key[2])
{
    const uint32_t *first = td_map_get(&parts->map, key[0]);

    for (uint32_t i = first ? *first : 0; i > 0; i = parts->at[i - 1].same) {
        const struct td_part *part = &parts->at[i - 1];
        if (part->about.key[1] == key[1])
            return part->cap > 0 ? part->seqs[part->n - 1] : part->one;
    }
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct td_part *const *x = a, *const *y = b;
    const uint64_t *key_x = (*x)->about.key, *key_y = (*y)->about.key;
    unsigned half = key_x[0] == key_y[0];

    return key_x[half] < key_y[half] ? -1 : key_x[half] > key_y[half];
}

/* Where the topic of a part stands among the topics that have been written; each is written once. */
static uint32_t put_topic(struct td_map *written, char *topics, uint32_t *end, uint64_t seed,
                          struct td_slice topic)
{
    bool new;
    uint32_t *at = td_map_put(written, td_topic_key(seed, topic), &new);

    TD_ASSERT(at);
    if (!new &&memcmp(topics + *at, topic.ptr, topic.len) == 0)
        return *at;
    *at = *end;
    memcpy(topics + *end, topic.ptr, topic.len);
    *end += (uint32_t)topic.len;
    return *at;
}

static void fill(struct td_part *const *sorted, uint32_t n, const char *segment,
                 const struct td_index_header *header, char *section, uint32_t *ret_topics)
{
    struct td_index_state *states = (void *)section;
    uint64_t *seqs = (void *)(states + n);
    char *topics = (char *)(seqs + header->state_seqs);
    struct td_map written;
    uint32_t start = 0;

    td_map_init(&written, sizeof(uint32_t));
    for (uint32_t i = 0; i < n; i++) {
        const struct td_part *part = sorted[i];
        struct td_record record;
        td_record_view(segment + part->offset, &record);
        states[i] = part->about;
        states[i].start = start;
        states[i].count = part->n;
        states[i].topic_at = put_topic(&written, topics, ret_topics, header->seed, record.topic);
        memcpy(seqs + start, part->cap > 0 ? part->seqs : &part->one, part->n * sizeof(*seqs));
        start += part->n;
    }
    td_map_done(&written);
}

char *td_parts_section(const struct td_parts *parts, const char *segment,
                       struct td_index_header *header, size_t *ret_bytes)
{
    struct td_part **sorted = calloc(parts->n + 1, sizeof(struct td_part *));
    size_t n_seqs = 0, topics_max = 0;

    if (!sorted)
        return NULL;
    for (uint32_t i = 0; i < parts->n; i++) {
        sorted[i] = &parts->at[i];
        n_seqs += parts->at[i].n;
        topics_max += parts->at[i].about.topic_len;
    }
    size_t fixed = parts->n * sizeof(struct td_index_state) + n_seqs * sizeof(uint64_t);
    char *section = calloc(1, fixed + TD_ALIGN_UP(topics_max, 8) + 8);
    if (section) {
        qsort(sorted, parts->n, sizeof(struct td_part *), by_key);
        uint32_t topics = 0;
        header->states = parts->n;
        header->state_seqs = (uint32_t)n_seqs;
        fill(sorted, parts->n, segment, header, section, &topics);
        header->topics = (uint32_t)TD_ALIGN_UP(topics, 8);
        *ret_bytes = fixed + header->topics;
        header->states_crc = td_crc32c(header->states_crc, section, *ret_bytes);
    }
    free(sorted);
    return section;
}
