/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a log begin with (docs/journal.md).  The structures are the bytes: little-endian, every
 * member aligned, nothing between them. */
#pragma once

#include "base/compiler.h"
#include <stdint.h>

#define TD_LOG_VERSION     1
#define TD_INDEX_VERSION   3 /* an index of another version is made again */
#define TD_TRIMMED_VERSION 2
#define TD_SEGMENT_MAGIC   "tdlogseg"
#define TD_INDEX_MAGIC     "tdlogidx"
#define TD_HEAD_MAGIC      "tdloghed"
#define TD_TRIMMED_MAGIC   "tdlogtrm"
#define TD_MAGIC_LEN       8
#define TD_SEGMENT_MAX     (UINT64_C(1) << 30) /* offsets are 32 bits, and a size fits an int */
#define TD_SEGMENT_MIN     (UINT64_C(4) << 10)
#define TD_UNCLEAN_JUMP    (UINT64_C(1) << 20) /* sequences left out after an unclean stop */
#define TD_BACKUP_JUMP     (UINT64_C(1) << 40) /* and by a log that a backup was restored to */

/* The first 56 bytes of a record, see record.h. */
struct td_record_head {
    uint32_t size, crc;
    uint64_t seq, time, synced;
    uint16_t flags;
    uint8_t topic_len, type_len, key_len, frame_head;
    uint16_t topic_at, type_at, key_at;
    uint32_t data_at, json_len, frame_at;
};

/* What a record with TD_RECORD_DEDUP holds between its head and its frame. */
struct td_record_dedup {
    uint64_t key[2];
    uint64_t content;
};

/* `<first sequence as 16 hex digits>.log`: this, then records up to the zeros or the end. */
struct td_segment_header {
    char magic[TD_MAGIC_LEN];
    uint32_t version, epoch;
    uint64_t seed;
    uint64_t first_seq; /* no record here is before it */
    uint64_t prev_last; /* the last sequence of the log before this segment */
    /* Sequences after `prev_last` up to this one may have been seen, and are lost: the run that gave them ended without
     * syncing them.  0: there are none. */
    uint64_t lost_to;
    union {
        uint64_t created_ms;
        uint64_t
            last_seq; /* with TD_SEGMENT_SLIM: the last that it held, also when that record is gone */
    };
    uint32_t flags, crc;
};

/* The segment was written anew, without what nothing retains any more.  All of it is on disk, and it ends with the file. */
#define TD_SEGMENT_SLIM 1

/* `<first sequence>.idx`: this, then `keys` of struct td_index_key sorted by key, `dedups` of struct
 * td_index_dedup, `groups` of struct td_index_group, `states` of struct td_index_state sorted by key, `state_seqs` sequences (u64), `topics` bytes of topics, and
 * `postings` offsets of records (u32). */
struct td_index_header {
    char magic[TD_MAGIC_LEN];
    uint32_t version, epoch;
    uint64_t first_seq, last_seq, prev_last;
    uint64_t first_time, last_time;
    uint32_t end; /* of the records in the segment */
    uint32_t records, keys, dedups, postings;
    uint32_t keys_crc, dedups_crc, postings_crc;
    uint64_t seed;    /* of the keys */
    uint32_t damaged; /* records of the segment could not be read and are not in the index */
    uint32_t states, state_seqs;
    uint32_t topics;     /* a multiple of 8 */
    uint32_t states_crc; /* of the groups, these, the sequences and the topics */
    uint32_t groups;
    uint32_t slim; /* as the flag of the segment's header */
    uint32_t reserved;
    uint64_t groups_id;  /* of the groups that were configured */
    uint64_t kept_bytes; /* of records that are there for the sake of state alone */
    uint32_t reserved_too, crc;
};

/* The part of a group in the records of a segment that are history. */
struct td_index_group {
    uint64_t bytes;
    uint64_t last_time; /* of the last of them */
};

struct td_index_key {
    uint64_t key;
    uint64_t last_seq; /* of the last record filed under it */
    uint32_t start, count;
};

struct td_index_dedup {
    uint64_t key[2];
    uint64_t content, seq, time;
};

/* What a segment leaves of the state of one topic and key (state.h): the last text or event of it, as far as it is in the
 * segment. */
struct td_index_state {
    uint64_t key[2];       /* td_state_hash */
    uint64_t time;         /* of the last record */
    uint32_t start, count; /* of the sequences of its records */
    uint32_t topic_at;
    uint8_t topic_len;
    uint8_t flags; /* of enum td_index_state_flags */
    uint16_t reserved;
};

enum td_index_state_flags {
    TD_STATE_BEGINS =
        1, /* with the first of the sequences; without: it continues what is before the segment */
    TD_STATE_REMOVES = 2, /* the last record removes what there was */
    TD_STATE_APPEND = 4,  /* of class `append`: what follows may continue it */
};

/* `head`: what must be known of a log that may hold no records. */
struct td_head_file {
    char magic[TD_MAGIC_LEN];
    uint32_t version, epoch;
    uint64_t seed;
    uint64_t last_seq; /* with `clean` the last one given; else one that was given */
    uint64_t skip_to;  /* nothing at or before it may be given again */
    uint64_t created_ms;
    uint32_t clean; /* closed in order, and nothing written since */
    uint32_t crc;
};

/* `trimmed`: this, then `tables` of struct td_trimmed_head, their entries (sorted by key, `count` in all), and `holes` of struct
 * td_trimmed_hole, oldest first. */
struct td_trimmed_header {
    char magic[TD_MAGIC_LEN];
    uint32_t version, epoch;
    uint64_t seed;
    uint64_t horizon; /* the segments up to it have gone */
    uint32_t count, tables, holes;
    uint32_t entries_crc; /* of all that stands behind */
    uint32_t reserved, crc;
};

/* What has gone of one retention group. */
struct td_trimmed_head {
    uint64_t id;    /* of the group and its patterns */
    uint64_t floor; /* of a key that has no entry, something up to it may have been */
    uint32_t count; /* entries */
    uint32_t reserved;
};

struct td_trimmed_entry {
    uint64_t key, seq;
};

/* As `prev_last` and `lost_to` of a segment that went. */
struct td_trimmed_hole {
    uint64_t prev_last, lost_to;
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the files are little-endian");
_Static_assert(sizeof(struct td_record_head) == 56, "no holes");
_Static_assert(sizeof(struct td_record_dedup) == 24, "no holes");
_Static_assert(sizeof(struct td_segment_header) == 64, "no holes");
_Static_assert(sizeof(struct td_index_header) == 152, "no holes");
_Static_assert(sizeof(struct td_index_state) == 40, "no holes");
_Static_assert(sizeof(struct td_index_key) == 24, "no holes");
_Static_assert(sizeof(struct td_index_dedup) == 40, "no holes");
_Static_assert(sizeof(struct td_head_file) == 56, "no holes");
_Static_assert(sizeof(struct td_trimmed_header) == 56, "no holes");
_Static_assert(sizeof(struct td_trimmed_head) == 24, "no holes");
_Static_assert(sizeof(struct td_trimmed_entry) == 16, "no holes");
_Static_assert(sizeof(struct td_index_group) == 16, "no holes");
_Static_assert(sizeof(struct td_trimmed_hole) == 16, "no holes");
