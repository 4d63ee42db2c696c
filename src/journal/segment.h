/* SPDX-License-Identifier: Apache-2.0 */
/* One segment: a log file, its mapping and its index.
 *
 *   open    the last one; records are appended to it
 *   full    nothing is appended any more; the index is still in memory
 *   sealed  all of it is durable, the file is cut to its content, the index is a file
 *
 * Members that readers use are fixed before the segment is published to them, or atomic. */
#pragma once

#include "base/units.h"
#include "journal/groups.h"
#include "journal/index.h"
#include <stdatomic.h>

enum td_heat {
    TD_COLD,   /* was there at the start, and its records have not been looked at */
    TD_ASKED,  /* a reader waits for the index */
    TD_WANTED, /* a reader waits for the records */
    TD_HOT,    /* verified, or written by this process */
};

/* Records that cannot be had: those behind `after_seq` and before `next_seq`, the bytes from `from` to `to`. */
struct td_damage {
    uint64_t after_seq, next_seq;
    uint32_t from, to;
};

/* The part of a retention group in a segment. */
struct td_group_share {
    uint64_t bytes;
    td_unix_ms last_time;
};

struct td_segment {
    struct td_segment_header header;
    const char *map;
    size_t map_bytes;
    bool
        map_owned; /* `map` is memory of our own (read-only opening of the segment still written) */
    bool header_bad;      /* the header was damaged; its values are taken from the neighbours */
    uint32_t capacity;    /* bytes that the file may grow to */
    _Atomic uint32_t end; /* bytes of whole batches */
    _Atomic uint64_t last_seq; /* `prev_last` while empty */
    _Atomic bool sealed;
    _Atomic int heat;     /* of enum td_heat */
    _Atomic bool indexed; /* the index of a cold segment has been verified, and stays */
    /* Ascending; fixed once the segment is hot. */
    struct td_damage *damage;
    size_t n_damage;

    /* Of the appender (append lock), then of the keeper. */
    int file;         /* -1 when closed */
    bool full;        /* append lock */
    bool synced;      /* append lock: nothing was written since the last sync was begun */
    bool listed;      /* of the committer: the directory is known to hold it durably */
    bool cut_pending; /* append lock: what a failed write left could not be cut off */
    uint64_t first_time, last_time;
    struct td_group_share shares[TD_GROUPS]; /* with `accounted`; of the keeper, as those below */
    uint64_t kept_bytes;                     /* of what is there for the sake of state alone */
    uint64_t live_seen; /* events of state that were needed when it was looked at last */
    bool accounted;     /* the shares are those of the configured groups */
    bool slim;          /* written anew; the end of the file is its end */
    td_ns seal_after;   /* of the keeper: sealing has failed, and is tried again then */
    bool index_checked; /* index lock: all of a cold segment's index file has been verified */

    struct td_index *index;        /* index lock; NULL when sealed */
    struct td_sealed sealed_index; /* with `sealed` */
};

/* The longest path of a log's file. */
#define TD_LOG_PATH_MAX 4096
#define TD_LOG_DIR_MAX  (TD_LOG_PATH_MAX - 32)
void td_log_path(const char *dir, const char *name, char ret_path[TD_LOG_PATH_MAX]);
/* `<dir>/<first_seq as 16 hex digits><extension>` */
void td_segment_path(const char *dir, uint64_t first_seq, const char *extension,
                     char ret_path[TD_LOG_PATH_MAX]);
/* Whether a file's name is one of these; then its sequence. */
bool td_segment_name(const char *name, const char *extension, uint64_t *ret_seq);

struct td_segment *td_segment_new(void);
/* Closes, unmaps and frees; nothing is written. */
void td_segment_free(struct td_segment *segment);

/* Creates the file of an open segment: header written (not synced), blocks reserved, mapped.  Reserves less than
 * `capacity`, but at least `need`, when the disk has not as much.  On failure no file is left. */
TD_MUST_USE int td_segment_create(const char *dir, const struct td_segment_header *header,
                                  uint64_t capacity, uint64_t need,
                                  struct td_segment **ret_segment);
void td_segment_header_seal(struct td_segment_header *header);
bool td_segment_header_sound(const struct td_segment_header *header);

/* The offsets filed under a key; of a segment that is not sealed only under the index lock. */
struct td_offsets td_segment_get(const struct td_segment *segment, uint64_t key);
/* The dedup keys that its index holds, in order; of a segment that is not sealed only under the index lock, or where nobody appends. */
const struct td_index_dedup *td_segment_dedups(const struct td_segment *segment, size_t *ret_n);
/* Remembers damage; ascending. */
void td_segment_add_damage(struct td_segment *segment, struct td_damage damage);
/* Checks all records and the index of a cold segment, and finds its damage.  TD_EDAMAGED when the index file can't be
 * used: then `ret_index` gets a new one, made from the records. */
TD_MUST_USE int td_segment_verify(struct td_segment *segment, struct td_index **ret_index);
