/* SPDX-License-Identifier: Apache-2.0 */
/* What a command reports on its descriptor 3: a line of JSON each (docs/decisions/0016).
 *
 *     {"progress":40,"message":"…"}                      progress: 0 to 100, what lies beyond is brought to the nearer end; either may be alone
 *     {"log":"…","level":"warn"}                         level: debug, info (also when absent), warn, error
 *     {"text":"…"}                                       a piece of the text that it writes
 *     {"result":…}                                       any JSON; the last one counts
 *     {"error":{"code":"…","message":"…","details":"…","suggested_actions":["…"]}}    all but the message may be absent; the last one counts
 *
 * One line may hold several of them.  Unknown members are ignored. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"
#include <stdbool.h>

#define TD_REPORT_LINE_MAX    ((size_t)256 * 1024)
#define TD_REPORT_CODE_MAX    64 /* of A-Z a-z 0-9 . _ - */
#define TD_REPORT_ACTIONS_MAX 16

/* What a line reports.  What it does not has a NULL pointer. */
struct td_report {
    bool has_progress;
    double progress;
    struct td_slice message, log, level, text; /* UTF-8, unescaped; a log has a level */
    struct td_slice result, error;             /* raw JSON; an error has been checked */
};

/* Reads a line.  0; or TD_EJSON, TD_EUTF8, or TD_EINVAL where a member is not what it must be, and then nothing of the line counts; or
 * -ENOMEM.  Texts lie in `line` and in `texts`, which is emptied before and can hold as much as the line. */
TD_MUST_USE int td_report_read(struct td_slice line, struct td_buf *texts,
                               struct td_report *ret_report);

struct td_report_error {
    struct td_slice code, message,
        details; /* `code` and `details` may be empty.  Details that are no string are their JSON */
    struct td_slice actions[TD_REPORT_ACTIONS_MAX];
    size_t n_actions;
};

/* Reads the object of a report's `error`: as above. */
TD_MUST_USE int td_report_error_read(struct td_slice object, struct td_buf *texts,
                                     struct td_report_error *ret_error);
