/* SPDX-License-Identifier: Apache-2.0 */
/* Which events a subscriber wants, beyond its patterns: of some types, with some members of `data`, and of what its principal may see where
 * patterns cannot say that.  Asked for each record on every path: live, behind, resuming, in pages and for state. */
#pragma once

#include "edge/conn.h"

/* A condition on a member of `data`.  A string is compared as its text, any other value as it is written. */
struct td_condition {
    struct td_slice member, value;
    /* Of the events of which it is asked: those on topics of this pattern, as far as nothing else that was named brings them.  Several of one
     * pattern: one has to hold.  ptr NULL: it is asked of all; several of one member: one has to hold. */
    struct td_slice pattern;
    bool as_pattern; /* the member is a topic that `value`, a pattern, matches */
};

/* From here on td_principal_excludes is asked.  0 or -ENOMEM. */
TD_MUST_USE int td_filter_exclude(struct td_conn *conn);
/* Only events of these types; of all when `n` is 0.  0 or -ENOMEM. */
TD_MUST_USE int td_filter_types(struct td_conn *conn, const struct td_slice *types, size_t n);
/* Only events that pass these conditions, which replace those that there were.  0 or -ENOMEM. */
TD_MUST_USE int td_filter_conditions(struct td_conn *conn, const struct td_condition *conditions,
                                     size_t n);
/* Forgets all of it. */
void td_filter_free(struct td_conn *conn);
/* Whether a record passes. */
bool td_conn_wants(const struct td_conn *conn, const struct td_record *record);
