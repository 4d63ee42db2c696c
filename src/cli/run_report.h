/* SPDX-License-Identifier: Apache-2.0 */
/* What `tidings run` tells of its command, as events: one `started`, an `output` for each line, one `exited`, all on one topic.
 * Each carries a dedup key of this run and its number, so that sending it again after a lost answer doubles nothing. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/topic.h"
#include "base/units.h"
#include "codec/lines.h"

/* A longer line is told in pieces. */
#define TD_RUN_LINE_MAX (16 * TD_KIB)
/* The longest event: a line of which every byte is escaped, and what is around it. */
#define TD_RUN_EVENT_MAX (6 * TD_RUN_LINE_MAX + 4 * TD_KIB)
#define TD_RUN_KIND_MAX  ((size_t)256)
/* A longer command line is told as its beginning. */
#define TD_RUN_COMMAND_MAX (64 * TD_KIB)

struct td_run_report {
    char topic[TD_TOPIC_LEN_MAX + 1];
    char id[65];       /* a segment: made, or as it was given */
    char _dedup[24];   /* random: the same --id twice is two runs */
    uint64_t n_events; /* told so far */
    uint64_t n_lines;
};

/* Names the run.  `token` (may be NULL), `topic` and `id` (NULL: made) as they were given.  Without `topic` it is
 * `runs/{sub}/{id}`, sub from the token, read without verifying it: the server checks what we may publish.
 * 0, or TD_ETOPIC for a topic or id that is none. */
TD_MUST_USE int td_run_report_init(struct td_run_report *report, const char *token,
                                   const char *topic, const char *id);

/* Each appends one event, a line of NDJSON without its LF, to `out`, which has room
 * for TD_RUN_EVENT_MAX; `kind` is at most TD_RUN_KIND_MAX bytes. */
void td_run_report_started(struct td_run_report *report, const char *kind, int pid,
                           char *const *argv, struct td_buf *out);
void td_run_report_output(struct td_run_report *report, const char *stream,
                          const struct td_line *line, struct td_buf *out);
void td_run_report_exited(struct td_run_report *report, int status, uint64_t duration_ms,
                          struct td_buf *out);
