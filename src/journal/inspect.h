/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into a log from outside, also while a server writes it: nothing is locked, repaired or changed.  All functions
 * answer -ENOENT when the directory holds no log. */
#pragma once

#include "journal/journal.h"

struct td_inspect_stat {
    uint32_t epoch;
    uint64_t segments, sealed, records, topics_and_prefixes, bytes, index_bytes;
    uint64_t first_seq, last_seq, horizon;
    td_unix_ms first_time, last_time; /* 0 when there are no records */
    uint64_t slim;                    /* segments that were written anew */
    uint64_t state_keys, state_topics;
    uint64_t kept_bytes; /* of records that are there for the sake of state alone */
    /* Bytes of each retention group in sealed segments; group 0 has the topics of none, the others are as the server counted them. */
    uint64_t group_bytes[TD_GROUPS_MAX + 1];
    struct td_journal_report report;
};
TD_MUST_USE int td_inspect_stat(const char *dir, struct td_inspect_stat *ret_stat);

enum td_finding_kind {
    TD_FINDING_SEGMENT, /* one was checked: `n` sound records up to `to` */
    TD_FINDING_HEADER,  /* the header of the segment is damaged; it is read all the same */
    TD_FINDING_INDEX,   /* the index is missing or damaged; the server makes a new one */
    TD_FINDING_RECORDS, /* the records behind `from`, up to `to`, are damaged or missing, and refused to readers */
    TD_FINDING_LOST, /* the sequences behind `from`, up to `to`, were lost in an unclean stop before they were synced */
    TD_FINDING_TAIL, /* `n` bytes at the end are no whole batch: being written just now, or left by a crash */
};

struct td_finding {
    enum td_finding_kind kind;
    uint64_t segment; /* its first sequence, which is its file's name */
    uint64_t from, to, n;
};

/* Checks every byte.  Returns how many findings were damage (HEADER, INDEX, RECORDS), or an error. */
TD_MUST_USE int64_t td_inspect_verify(const char *dir,
                                      void (*found)(const struct td_finding *finding, void *arg),
                                      void *arg);

struct td_dump {
    struct td_slice pattern; /* valid; `**` for all */
    uint64_t after;
    /* Gets each record, and each gap (record NULL: all behind `from` up to `to` can't be had).  Anything but 0 ends the dump with it. */
    int (*each)(const struct td_record *record, uint64_t from, uint64_t to, void *arg);
    void *arg;
};
TD_MUST_USE int td_inspect_dump(const char *dir, const struct td_dump *dump);

/* Copies the log to the directory `to`, which is made and must be empty.  What is copied can be served as it is: it has the same
 * epoch, and leaves out the next 2^40 sequences, so that nothing it will ever give has been given by the original.
 * -EEXIST when there is something in `to`. */
TD_MUST_USE int td_inspect_backup(const char *dir, const char *to, uint64_t *ret_bytes);
