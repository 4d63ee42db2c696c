/* SPDX-License-Identifier: Apache-2.0 */
/* The runner `command`, for its own files. */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "codec/lines.h"
#include "jobs/command.h"
#include "jobs/report.h"
#include "os/loop.h"

/* What one turn reads of one stream. */
#define TD_COMMAND_CHUNK   ((size_t)4 * 1024)
#define TD_COMMAND_LAST    ((size_t)1024) /* of the last line of standard error */
#define TD_COMMAND_PROGRAM ((size_t)128)

enum td_command_source {
    TD_SOURCE_OUT,
    TD_SOURCE_ERR,
    TD_SOURCE_REPORT,
    TD_SOURCE_LINK,
    TD_SOURCES,
};
#define TD_STREAMS TD_SOURCE_LINK

/* Why it is made to end. */
enum td_command_cause {
    TD_CAUSE_NONE,
    TD_CAUSE_CANCELLED,
    TD_CAUSE_TIMEOUT,
    TD_CAUSE_OUTPUT,
};

struct td_command {
    struct td_list all, ready; /* in the table; among those that have something to read */
    struct td_commands *table;
    struct td_run_ops ops;
    void *arg;
    struct td_launched launched;
    unsigned
        readable; /* a bit for each source that has not been read to its end since the last edge */
    struct td_lines lines[TD_STREAMS];
    bool in_long_report; /* of which the rest is passed over */

    /* limits */
    uint64_t time_ms, output_bytes, cpu_s, written;
    td_ns grace;
    bool exit_status_is_result;

    /* what has happened */
    enum td_command_cause cause;
    bool has_exited, was_killed, is_gone; /* is_gone: nobody is left who could write */
    int start_error;                      /* -errno; 0: it could be started */
    int status;                           /* its exit status, or minus the signal that ended it */
    td_ns time_at, kill_at, give_up_at;   /* UINT64_MAX: not at all */

    /* what it said */
    struct td_buf result, error; /* raw JSON, as reported last */
    char last_line[TD_COMMAND_LAST];
    size_t last_line_len;
    char program[TD_COMMAND_PROGRAM + 1];
};

struct td_commands {
    const struct td_launcher *launcher;
    struct td_loop *loop;
    struct td_list all, ready;
    size_t n, max;
    struct td_buf clean; /* of a line that is no UTF-8 */
    struct td_buf texts; /* of a report */
    char chunk[TD_COMMAND_CHUNK];
};

/* Makes strings of a spec and starts it. */
TD_MUST_USE int td_command_launch(const struct td_launcher *launcher,
                                  const struct td_command_spec *spec,
                                  const struct td_run_input *input,
                                  struct td_launched *ret_launched);

static inline int *td_command_fd(struct td_command *command, enum td_command_source source)
{
    int *fds[TD_SOURCES] = {&command->launched.out, &command->launched.err,
                            &command->launched.report, &command->launched.link};

    return fds[source];
}

/* Takes bytes of a stream, and its end: tells what is whole. */
void td_command_take_in(struct td_command *command, enum td_command_source source,
                        struct td_slice bytes);
void td_command_take_end(struct td_command *command, enum td_command_source source);

/* Tells how it ended. */
void td_command_tell_end(struct td_command *command);
