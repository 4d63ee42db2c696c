/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of which none covers another: what a principal is granted, what has been taken from it, and what of a pattern it may
 * see.  Private to principal.c. */
#pragma once

#include "auth/principal.h"
#include "base/buf.h"

/* The texts are kept as offsets, because the buffer moves while it grows. */
struct td_pattern_set {
    struct td_buf *text; /* of the caller; others may write to it too */
    size_t n;
    struct td_pattern_span {
        uint32_t at, len;
    } _spans[TD_GRANTS_MAX];
};

/* Good until the buffer changes. */
static inline struct td_slice td_pattern_set_item(const struct td_pattern_set *set, size_t i)
{
    return td_slice(set->text->ptr + set->_spans[i].at, set->_spans[i].len);
}

/* Adds a pattern unless it is covered, and drops those that it covers.  0, TD_ETOOLARGE (the set or the buffer is full) or
 * -ENOMEM. */
TD_MUST_USE int td_pattern_set_add(struct td_pattern_set *set, struct td_slice pattern,
                                   bool (*covers)(struct td_slice outer, struct td_slice inner));
