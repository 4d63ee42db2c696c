/* SPDX-License-Identifier: Apache-2.0 */
/* What the runners have in common: how the engine starts one, and what it is told.
 *
 * A run is one execution of one kind.  All of this happens on the desk's thread: a runner's descriptors are in the set that the desk waits
 * with, and its callbacks come from td_…_serve, never from within td_…_start. */
#pragma once

#include "base/compiler.h"
#include "base/slice.h"
#include "base/units.h"

/* What a run needs to know of its job.  Good during the call that starts it. */
struct td_run_input {
    struct td_slice
        document; /* JSON: job_id, params, results; what a command gets on its standard input */
    /* The value of what stands in braces in an argument or a prompt (a parameter, `result.STEP`, …).  Whether there is one. */
    bool (*value)(void *arg, struct td_slice name, struct td_slice *ret_value);
    void *arg;
};

enum td_run_outcome {
    TD_RUN_DONE,
    TD_RUN_FAILED,
    TD_RUN_CANCELLED,
};

/* How a run ended.  Texts are good during the call. */
struct td_run_end {
    enum td_run_outcome outcome;
    int exit_status;        /* of a command that exited; -1 otherwise */
    struct td_slice result; /* raw JSON, or empty */
    /* FAILED: a stable word such as timeout, exit_status, killed, not_started, output_limit, upstream_error, upstream_timeout; a sentence
     * that says what happened; more of it, or empty; what to do about it, a sentence each. */
    struct td_slice code, message, details;
    const struct td_slice *actions;
    size_t n_actions;
};

/* What a run tells.  `arg` is the one that it was started with.  After `ended` it says nothing more and is gone. */
struct td_run_ops {
    /* A whole line of output, without its end: UTF-8 (what was not is replaced by U+FFFD). */
    void (*line)(void *arg, struct td_slice line, bool is_stderr);
    /* A piece of the text that it writes: UTF-8, whole characters. */
    void (*text)(void *arg, struct td_slice piece);
    /* progress: 0 to 100, or negative when only `message` is news (which may be empty). */
    void (*progress)(void *arg, double progress, struct td_slice message);
    void (*log)(void *arg, struct td_slice message, struct td_slice level);
    void (*ended)(void *arg, const struct td_run_end *end);
};
