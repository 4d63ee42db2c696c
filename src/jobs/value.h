/* SPDX-License-Identifier: Apache-2.0 */
/* What a run is given: its document, and the values of names in braces. */
#pragma once

#include "jobs/internal.h"

struct td_values {
    struct td_run_input input;
    const struct td_job *job;
    struct td_buf _document;
    struct td_values_block *_blocks; /* texts that had escapes */
};

/* Good until td_values_done, as long as the job is not changed.  0 or an error; end it in either case. */
TD_MUST_USE int td_values_init(struct td_values *values, const struct td_job *job);
void td_values_done(struct td_values *values);
/* The value of a name of a job that is being made: a parameter, or one that is given.  As td_template_value; `arg` is a struct td_job. */
bool td_job_value(void *arg, struct td_slice name, struct td_slice *ret_value);
