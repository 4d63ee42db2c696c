/* SPDX-License-Identifier: Apache-2.0 */
/* The index of one segment: from the keys of topic.h to the offsets of the records filed under them, in order.
 *
 * While a segment is written, and until the keeper has stored it, the index is a hash table in memory (struct td_index); then it
 * is a mapped file (struct td_sealed) that is searched in place. */
#pragma once

#include "base/map.h"
#include "base/topic.h"
#include "journal/format.h"
#include "journal/record.h"

/* Offsets under one key.  The first two need no memory of their own: most keys of a segment have few. */
struct td_posting {
    uint32_t n, cap; /* cap 0: they are in `few` */
    union {
        uint32_t few[2];
        uint32_t *many;
    };
};

/* What a segment leaves of the state of one topic and key, while it is gathered. */
struct td_part {
    struct td_index_state about; /* but for the places of its topic and sequences */
    uint32_t same;   /* the index + 1 of another one with the same first half of the key */
    uint32_t offset; /* of the last record */
    uint32_t n, cap;
    uint64_t *seqs, one; /* cap 0: there is room for `one` only */
};

struct td_parts {
    struct td_map map; /* from the first half of the key to uint32_t, the index + 1 in `at` */
    struct td_part *at;
    uint32_t n, cap;
};

struct td_index {
    struct td_map keys;    /* to struct td_posting; all but `**` */
    struct td_posting all; /* of `**` */
    uint64_t all_key, seed;
    struct td_index_dedup *dedups;
    size_t n_dedups, dedups_cap;
    struct td_parts parts;
};

/* A view of some offsets. */
struct td_offsets {
    const uint32_t *at;
    uint32_t n;
};

/* Not thread-safe; the journal's index lock guards it.  Memory is asserted: it is bounded by the segment's size. */
struct td_index *td_index_new(uint64_t seed);
void td_index_free(struct td_index *index);
/* Files the record at `bytes`, which stands at `offset` behind all filed before. */
void td_index_add(struct td_index *index, const char *bytes, uint32_t offset);
/* Records that stay for the sake of state alone are filed here … */
uint64_t td_kept_key(uint64_t seed);
/* … and, by topic, here. */
uint64_t td_kept_topic_key(uint64_t seed, struct td_slice topic);
/* What is filed under a key; good until the next add. */
struct td_offsets td_index_get(const struct td_index *index, uint64_t key);

/* parts.c: notes what a record with a key leaves. */
void td_parts_add(struct td_parts *parts, uint64_t seed, const struct td_record *record,
                  uint32_t offset);
void td_parts_done(struct td_parts *parts);
/* The sequence of the last record of a topic and key; 0: none. */
uint64_t td_parts_last_of(const struct td_parts *parts, const uint64_t key[2]);
/* The section of an index file that says the same, of records at `segment`.  Returns its bytes (malloc), and the counts and the
 * checksum, which goes on from what is there, in `header`; NULL without memory. */
char *td_parts_section(const struct td_parts *parts, const char *segment,
                       struct td_index_header *header, size_t *ret_bytes);

struct td_sealed {
    const char *map;
    size_t bytes;
    const struct td_index_header *header;
    const struct td_index_key *keys;
    const struct td_index_dedup *dedups;
    const struct td_index_group *groups;
    const struct td_index_state *states;
    const uint64_t *state_seqs;
    const char *topics;
    const uint32_t *postings;
    struct td_offsets all;
};

/* What an index file says besides the index. */
struct td_index_about {
    uint32_t epoch, end;
    uint64_t seed;
    uint64_t first_seq, last_seq, prev_last, first_time, last_time;
    uint64_t groups_id, kept_bytes;
    const struct td_index_group *groups;
    uint32_t n_groups;
    bool damaged, slim;
};

/* Writes the file for the records at `segment`, atomically and durably. */
TD_MUST_USE int td_sealed_store(const char *path, const struct td_index *index,
                                const struct td_index_about *about, const char *segment);
/* Maps a file and checks its header, the dedup entries and the state only.  TD_EDAMAGED, or -errno. */
TD_MUST_USE int td_sealed_open(const char *path, struct td_sealed *ret_sealed);
void td_sealed_close(struct td_sealed *sealed);
/* Checks all the rest; to be done before the first lookup.  0 or TD_EDAMAGED. */
TD_MUST_USE int td_sealed_verify(const struct td_sealed *sealed);
/* The entry of a key, or NULL. */
const struct td_index_key *td_sealed_find(const struct td_sealed *sealed, uint64_t key);
struct td_offsets td_sealed_get(const struct td_sealed *sealed, uint64_t key);

/* How many of the offsets are below `offset`. */
uint32_t td_offsets_below(struct td_offsets offsets, uint32_t offset);
/* The first of the offsets (ascending, of records at `segment`) whose sequence is behind `after`: its index. */
uint32_t td_offsets_after(struct td_offsets all, const char *segment, uint64_t after);
