/* SPDX-License-Identifier: Apache-2.0 */
/* The index as a file. */
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "journal/groups.h"
#include "journal/index.h"
#include "journal/record.h"
#include "os/file.h"
#include <errno.h>
#include <stdlib.h>

static int by_key(const void *a, const void *b)
{
    const struct td_index_key *x = a, *y = b;

    return x->key < y->key ? -1 : x->key > y->key;
}

static size_t count_postings(const struct td_index *index)
{
    size_t n = index->all.n, cursor = 0;
    const struct td_posting *posting;
    uint64_t key;

    while ((posting = td_map_each(&index->keys, &cursor, &key)))
        n += posting->n;
    return n;
}

/* Fills the sorted keys, then the postings in the order of the keys. */
static void fill(const struct td_index *index, const char *segment, struct td_index_key *keys,
                 uint32_t *postings)
{
    const struct td_posting *posting;
    uint32_t start = 0, n = 0;
    size_t cursor = 0;
    uint64_t key;

    while ((posting = td_map_each(&index->keys, &cursor, &key)))
        keys[n++].key = key;
    keys[n++].key = index->all_key;
    qsort(keys, n, sizeof(*keys), by_key);
    for (uint32_t i = 0; i < n; i++) {
        struct td_offsets offsets = td_index_get(index, keys[i].key);
        keys[i].start = start;
        keys[i].count = offsets.n;
        keys[i].last_seq = offsets.n > 0 ? td_record_seq(segment + offsets.at[offsets.n - 1]) : 0;
        if (offsets.n > 0)
            memcpy(postings + start, offsets.at, offsets.n * sizeof(*postings));
        start += offsets.n;
    }
}

int td_sealed_store(const char *path, const struct td_index *index,
                    const struct td_index_about *about, const char *segment)
{
    size_t groups_bytes = about->n_groups * sizeof(struct td_index_group);
    struct td_index_header states = {.seed = about->seed,
                                     .states_crc = td_crc32c(0, about->groups, groups_bytes)};
    size_t n_keys = index->keys.len + 1, n_postings = count_postings(index), states_bytes;
    size_t keys_bytes = n_keys * sizeof(struct td_index_key);
    size_t dedups_bytes = index->n_dedups * sizeof(struct td_index_dedup);
    size_t postings_bytes = n_postings * sizeof(uint32_t);
    char *section = td_parts_section(&index->parts, segment, &states, &states_bytes);

    if (!section)
        return -ENOMEM;
    size_t bytes = sizeof(struct td_index_header) + keys_bytes + dedups_bytes + groups_bytes +
                   states_bytes + postings_bytes;
    char *file = n_postings <= UINT32_MAX ? calloc(1, bytes) : NULL;
    if (!file) {
        free(section);
        return n_postings > UINT32_MAX ? TD_ETOOLARGE : -ENOMEM;
    }
    struct td_index_header *header = (void *)file;
    struct td_index_key *keys = (void *)(header + 1);
    char *dedups = (char *)keys + keys_bytes;
    char *groups = dedups + dedups_bytes;
    uint32_t *postings = (void *)(groups + groups_bytes + states_bytes);
    fill(index, segment, keys, postings);
    if (dedups_bytes > 0)
        memcpy(dedups, index->dedups, dedups_bytes);
    memcpy(groups, about->groups, groups_bytes);
    memcpy(groups + groups_bytes, section, states_bytes);
    free(section);
    *header = (struct td_index_header){
        .version = TD_INDEX_VERSION,
        .epoch = about->epoch,
        .seed = about->seed,
        .first_seq = about->first_seq,
        .last_seq = about->last_seq,
        .prev_last = about->prev_last,
        .first_time = about->first_time,
        .last_time = about->last_time,
        .end = about->end,
        .damaged = about->damaged,
        .records = index->all.n,
        .keys = (uint32_t)n_keys,
        .dedups = (uint32_t)index->n_dedups,
        .postings = (uint32_t)n_postings,
        .states = states.states,
        .state_seqs = states.state_seqs,
        .topics = states.topics,
        .states_crc = states.states_crc,
        .groups = about->n_groups,
        .groups_id = about->groups_id,
        .kept_bytes = about->kept_bytes,
        .slim = about->slim,
        .keys_crc = td_crc32c(0, keys, keys_bytes),
        .dedups_crc = td_crc32c(0, dedups, dedups_bytes),
        .postings_crc = td_crc32c(0, postings, postings_bytes),
    };
    memcpy(header->magic, TD_INDEX_MAGIC, TD_MAGIC_LEN);
    header->crc = td_crc32c(0, header, offsetof(struct td_index_header, crc));
    int r = td_file_store(path, td_slice(file, bytes));
    free(file);
    return r;
}

/* Of the groups and the state. */
static size_t states_bytes(const struct td_index_header *header)
{
    return header->groups * sizeof(struct td_index_group) +
           header->states * sizeof(struct td_index_state) + header->state_seqs * sizeof(uint64_t) +
           header->topics;
}

static bool header_sound(const struct td_index_header *header, size_t bytes)
{
    return memcmp(header->magic, TD_INDEX_MAGIC, TD_MAGIC_LEN) == 0 &&
           header->version == TD_INDEX_VERSION &&
           header->crc == td_crc32c(0, header, offsetof(struct td_index_header, crc)) &&
           header->topics % 8 == 0 &&
           bytes == sizeof(*header) + header->keys * sizeof(struct td_index_key) +
                        header->dedups * sizeof(struct td_index_dedup) + states_bytes(header) +
                        header->postings * sizeof(uint32_t);
}

/* Whether each part of the state lies inside of its section. */
static bool states_sound(const struct td_sealed *sealed)
{
    const struct td_index_header *header = sealed->header;

    for (uint32_t i = 0; i < header->states; i++) {
        const struct td_index_state *state = &sealed->states[i];
        if (state->count == 0 || (uint64_t)state->start + state->count > header->state_seqs ||
            (uint64_t)state->topic_at + state->topic_len > header->topics)
            return false;
    }
    return true;
}

static int lay_out(struct td_sealed *sealed)
{
    const struct td_index_header *header = (const void *)sealed->map;

    if (td_file_populate(sealed->map, sizeof(*header)) < 0 || !header_sound(header, sealed->bytes))
        return TD_EDAMAGED;
    sealed->header = header;
    sealed->keys = (const void *)(header + 1);
    sealed->dedups = (const void *)(sealed->keys + header->keys);
    sealed->groups = (const void *)(sealed->dedups + header->dedups);
    sealed->states = (const void *)(sealed->groups + header->groups);
    sealed->state_seqs = (const void *)(sealed->states + header->states);
    sealed->topics = (const char *)(sealed->state_seqs + header->state_seqs);
    sealed->postings = (const void *)(sealed->topics + header->topics);
    size_t dedups_bytes = header->dedups * sizeof(struct td_index_dedup);
    if (td_file_populate((const char *)sealed->dedups, dedups_bytes + states_bytes(header)) < 0 ||
        td_crc32c(0, sealed->dedups, dedups_bytes) != header->dedups_crc ||
        td_crc32c(0, sealed->groups, states_bytes(header)) != header->states_crc ||
        header->groups > TD_GROUPS || !states_sound(sealed))
        return TD_EDAMAGED;
    return 0;
}

int td_sealed_open(const char *path, struct td_sealed *ret_sealed)
{
    struct td_sealed sealed = {0};
    uint64_t size;
    int file = td_file_open(path, TD_FILE_READ);

    if (file < 0)
        return file;
    int r = td_file_size(file, &size);
    if (r == 0 && (size < sizeof(struct td_index_header) || size > SIZE_MAX / 2))
        r = TD_EDAMAGED;
    if (r == 0)
        r = td_file_map(file, (size_t)size, &sealed.map);
    td_file_close(file);
    if (r < 0)
        return r;
    sealed.bytes = (size_t)size;
    r = lay_out(&sealed);
    if (r < 0) {
        td_sealed_close(&sealed);
        return r;
    }
    sealed.all = td_sealed_get(&sealed, td_pattern_key(sealed.header->seed, TD_S("**"), NULL));
    *ret_sealed = sealed;
    return 0;
}

void td_sealed_close(struct td_sealed *sealed)
{
    if (sealed->map)
        td_file_unmap(sealed->map, sealed->bytes);
    *sealed = (struct td_sealed){0};
}

int td_sealed_verify(const struct td_sealed *sealed)
{
    const struct td_index_header *header = sealed->header;

    if (td_file_populate(sealed->map, sealed->bytes) < 0 ||
        td_crc32c(0, sealed->keys, header->keys * sizeof(*sealed->keys)) != header->keys_crc ||
        td_crc32c(0, sealed->postings, header->postings * sizeof(uint32_t)) !=
            header->postings_crc ||
        sealed->all.n != header->records)
        return TD_EDAMAGED;
    return 0;
}

const struct td_index_key *td_sealed_find(const struct td_sealed *sealed, uint64_t key)
{
    uint32_t low = 0, high = sealed->header->keys;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (sealed->keys[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sealed->header->keys && sealed->keys[low].key == key ? &sealed->keys[low] : NULL;
}

struct td_offsets td_sealed_get(const struct td_sealed *sealed, uint64_t key)
{
    const struct td_index_key *entry = td_sealed_find(sealed, key);

    if (!entry || (uint64_t)entry->start + entry->count > sealed->header->postings)
        return (struct td_offsets){NULL, 0};
    return (struct td_offsets){sealed->postings + entry->start, entry->count};
}
