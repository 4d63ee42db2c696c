/* SPDX-License-Identifier: Apache-2.0 */
/* The runner `command`: programs, started through the launcher, their output read as it comes, ended with all that they started.
 *
 * A table of those that run belongs to one thread, the desk's.  It is one descriptor in that thread's wait:
 *
 *     td_poll(… td_commands_fd …, until td_commands_deadline);  td_commands_serve(commands, now);
 *
 * Callbacks (jobs/runner.h) come from td_commands_serve alone.  They may start and cancel commands.
 *
 * What is told of a command:
 *
 *   - Each line of standard output and error, in the order of its stream.  CR LF ends a line as LF does; a last line needs neither.  One longer than
 *     TD_COMMAND_LINE_MAX is told in several, of which none tears a character.
 *   - What it reports on descriptor 3 (jobs/report.h).  A line that is no report, or longer than TD_REPORT_LINE_MAX, becomes a log at level warn.
 *   - `ended`, when no process of it is left and all that they wrote is read.  What the command has left behind when it exits gets the grace to end by itself for
 *     as long as it holds one of the three streams open, and is killed then; what holds none is killed at once.
 *
 * How a run ends, the first that holds:
 *
 *     CANCELLED                 td_command_cancel came before its exit was seen
 *     FAILED  not_started       no such file, not allowed, no memory, …; the message says which
 *     FAILED  timeout           it ran longer than time_ms
 *     FAILED  output_limit      it wrote more than output_bytes to its three streams; what is beyond is not read
 *     FAILED  (its own word)    it reported an error, whatever its exit status; `command_error` when that has no code
 *     FAILED  killed            a signal ended it
 *     FAILED  exit_status       its exit status is not 0, unless that is its result.  The details are the last line of standard error
 *     DONE
 *
 * A command that shall end is sent SIGTERM with its process group; what is left after the grace is killed. */
#pragma once

#include "base/compiler.h"
#include "base/slice.h"
#include "base/units.h"
#include "jobs/runner.h"
#include "os/launcher.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TD_COMMAND_LINE_MAX ((size_t)64 * 1024)
#define TD_COMMAND_GRACE_MS 5000

struct td_commands;
struct td_command;

/* What to run.  Good during the call that starts it.
 *
 * Arguments, environment and directory are templates (jobs/template.h).  A value is put in as it is and never split or looked at again: there is no shell.  An
 * argument or variable in which stands a name without a value is left out. */
struct td_command_spec {
    const struct td_slice
        *argv; /* the first is the program: a path, or a name that is looked up in PATH */
    size_t n_argv;
    const struct td_slice *
        env; /* NAME=VALUE, or NAME alone: as the server has it.  PATH, HOME and LANG are kept unless set, no others are */
    size_t n_env;
    struct td_slice
        dir; /* empty: the server's.  A value in it is one segment: neither empty, "." or "..", nor with a slash */
    uint64_t time_ms, memory_bytes, cpu_s,
        output_bytes;  /* limits; 0: none.  Memory and CPU are those of each of its processes */
    uint64_t grace_ms; /* 0: TD_COMMAND_GRACE_MS */
    bool exit_status_is_result; /* a status other than 0 is a result, no failure */
};

/* A table of at most `max` commands.  `launcher` outlives it.  0 or -errno. */
TD_MUST_USE int td_commands_new(const struct td_launcher *launcher, size_t max,
                                struct td_commands **ret_commands);
/* Kills what runs, without a word to anybody.  NULL is fine. */
void td_commands_free(struct td_commands *commands);

/* Readable while there is something to serve; always the same. */
int td_commands_fd(const struct td_commands *commands);
/* When to serve at the latest: 0 at once, UINT64_MAX: not before the descriptor says so. */
td_ns td_commands_deadline(const struct td_commands *commands);
/* Reads, a bounded amount and from each in turn, and carries out what is due. */
void td_commands_serve(struct td_commands *commands, td_ns now);
/* How many run. */
size_t td_commands_running(const struct td_commands *commands);

/* Starts one.  0; or, and then nothing is told of it: TD_EMANY (the table is full), TD_EINVAL (no program, or a value that can't be put where it stands: a NUL
 * anywhere, a path in `dir`), TD_ETOOLARGE (arguments and environment together beyond TD_LAUNCH_STRINGS_MAX, or the document beyond TD_LAUNCH_INPUT_MAX), -EPIPE (the launcher is
 * gone), another -errno. */
TD_MUST_USE int td_commands_start(struct td_commands *commands, const struct td_command_spec *spec,
                                  const struct td_run_input *input, const struct td_run_ops *ops,
                                  void *arg, td_ns now, struct td_command **ret_command);
/* Ends it; `ended` tells when it has.  At any time before `ended`. */
void td_command_cancel(struct td_command *command, td_ns now);
