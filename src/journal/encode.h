/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a record (record.h) from a draft. */
#pragma once

#include "base/units.h"
#include "journal/format.h"
#include "journal/journal.h"

/* What a record gets besides its draft. */
struct td_stamp {
    uint32_t epoch;
    unsigned flags; /* of enum td_record_flags */
    uint64_t seq;   /* 0: of an ephemeral event */
    uint64_t synced;
    td_unix_ms time;
    const char *time_text;               /* td_time_format of `time` */
    const struct td_record_dedup *dedup; /* with TD_RECORD_DEDUP */
};

/* No record of the draft takes more bytes than this. */
uint64_t td_record_size_max(const struct td_draft *draft);
/* Writes the record at `ret_bytes` (8-byte aligned, room for td_record_size_max) and returns its size. */
uint32_t td_record_encode(const struct td_draft *draft, const struct td_stamp *stamp,
                          char *ret_bytes);
