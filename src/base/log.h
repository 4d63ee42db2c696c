/* SPDX-License-Identifier: Apache-2.0 */
/* Structured log lines: an event's name and fields, as JSON or text, one line each, bounded and escaped, so that
 * nothing a peer sends can forge a line.  Never a token.
 *
 *     struct td_log_line line;
 *     if (td_log_begin(&line, TD_LOG_INFO, "connect")) {
 *         td_log_str(&line, "peer", peer);
 *         td_log_end(&line);
 *     }
 *
 * Any thread; a line goes out in one call of the sink. */
#pragma once

#include "base/buf.h"
#include "base/units.h"
#include <stdbool.h>

enum td_log_level {
    TD_LOG_DEBUG,
    TD_LOG_INFO,
    TD_LOG_WARN,
    TD_LOG_ERROR,
    TD_LOG_NONE,
};

/* Where lines go.  Set once before threads start; the default drops them. */
struct td_log_sink {
    void (*write)(struct td_slice line); /* a whole line with its newline */
    td_unix_ms (*now)(void);
    enum td_log_level level; /* the least that is written, at first */
    bool json;
};
void td_log_open(const struct td_log_sink *to);
/* Changes the least that is written; any time, any thread. */
void td_log_set_level(enum td_log_level level);

#define TD_LOG_LINE_MAX  4096
#define TD_LOG_VALUE_MAX 512 /* bytes of one value; longer ones are cut */

struct td_log_line {
    char _text[TD_LOG_LINE_MAX];
    size_t _len;
    bool _full; /* the field that is being put does not fit */
    bool _cut;  /* some field did not: the line ends with `cut` */
};

/* False when the level is not written: skip the rest. */
bool td_log_begin(struct td_log_line *line, enum td_log_level level, const char *event);
void td_log_str(struct td_log_line *line, const char *name, struct td_slice value);
void td_log_u64(struct td_log_line *line, const char *name, uint64_t value);
void td_log_end(struct td_log_line *line);
/* A line with one text field, `message`. */
void td_log(enum td_log_level level, const char *event, const char *format, ...) TD_PRINTF(3, 4);
