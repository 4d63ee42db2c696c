/* SPDX-License-Identifier: Apache-2.0 */
/* Walking the records of a segment that may be damaged. */
#pragma once

#include "base/slice.h"

enum td_scan_what {
    TD_SCAN_RECORD, /* a sound one, later than all before it */
    TD_SCAN_BAD,    /* something else; td_scan_resync goes on behind it */
    TD_SCAN_END,    /* zeros, or the end of the bytes */
};

struct td_scan {
    struct td_slice bytes; /* of the segment, from its header on */
    uint32_t at;           /* where the next record is looked for; begins behind the header */
    uint64_t seq;          /* of the last sound record; begin with the one before the segment */
    uint64_t synced;       /* the greatest `synced` of the sound records */
    uint64_t seq_max;      /* a record beyond it is not part of the log */
};

/* Looks at what stands at `at`.  For a record `ret_offset` is where, and `at` moves behind it. */
enum td_scan_what td_scan_next(struct td_scan *scan, uint32_t *ret_offset);
/* Moves `at` to the next sound record behind a bad place (or to the end: false). */
bool td_scan_resync(struct td_scan *scan);
