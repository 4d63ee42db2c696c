/* SPDX-License-Identifier: Apache-2.0 */
/* What no text of a kind can see alone.  For kind*.c only. */
#pragma once

#include "jobs/kind.h"

struct td_kind_check {
    struct td_buf *errors;
    struct td_kind *kind; /* that is looked at */
    size_t faults;
};

void td_kind_fault(struct td_kind_check *check, const char *format, ...) TD_PRINTF(2, 3);
/* Whether a name is one that the server gives a value: sub, job_id, session, request_id. */
bool td_kind_is_given(struct td_slice name);
/* Checks a kind whose texts and steps are compiled, and notes which parameters have to be segments. */
void td_kind_check(struct td_kind_check *check, struct td_kind *kind);
