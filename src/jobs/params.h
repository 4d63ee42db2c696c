/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of one job: what was given, checked against what its kind declares. */
#pragma once

#include "jobs/kind.h"

struct td_params {
    const struct td_kind *kind;
    struct td_buf _text; /* the values, each with a NUL behind it */
    struct {
        size_t at, len;
        bool is_there, is_text;
    } _values[TD_KIND_PARAMS_MAX];
};

/* Takes the members of `given` (what the endpoint's path says; those that are not declared are passed over) and of `params`; both are checked
 * JSON objects, or empty.  0; or TD_EINVAL or TD_ETOOLARGE with a sentence appended to `why`; -ENOMEM.  End with td_params_done in either case. */
TD_MUST_USE int td_params_take(struct td_params *params, const struct td_kind *kind,
                               struct td_slice given, struct td_slice json, struct td_buf *why);
void td_params_done(struct td_params *params);

/* The value of the nth parameter, as text with a NUL behind it; false: it is absent. */
bool td_params_value(const struct td_params *params, size_t nth, struct td_slice *ret_value);
enum td_params_which {
    TD_PARAMS_ALL,
    TD_PARAMS_CARRIED,
    TD_PARAMS_SEEN, /* by who sees the events: those that are carried, or stand in the topic */
};
/* Appends the members `"name":value` of those that are there; with a comma before each. */
void td_params_put(const struct td_params *params, enum td_params_which which, struct td_buf *out);
