/* SPDX-License-Identifier: Apache-2.0 */
/* Retention groups: which topics are kept how long.  Group 0 has what no other has. */
#pragma once

#include "journal/journal.h"

#define TD_GROUPS (TD_GROUPS_MAX + 1)

struct td_group {
    struct td_slice name; /* of group 0: empty */
    struct td_slice *patterns;
    size_t n_patterns;
    uint64_t retain_bytes, retain_ms, state_ttl_ms;
    uint64_t id; /* a hash of the name and the patterns: another group is another one */
};

struct td_groups {
    struct td_group at[TD_GROUPS];
    size_t n;    /* at least 1 */
    uint64_t id; /* of all of them */
    char *texts;
};

/* Copies what the options say.  On failure it holds group 0 alone: TD_EINVAL when there are too many, a name is empty or stands twice, or a pattern is none. */
TD_MUST_USE int td_groups_init(struct td_groups *groups, const struct td_journal_options *options);
void td_groups_done(struct td_groups *groups);
/* The group of a topic: the first with a pattern that matches it. */
unsigned td_groups_of(const struct td_groups *groups, struct td_slice topic);
/* Whether a topic that a pattern matches may belong to a group.  May say yes wrongly, never no. */
bool td_group_meets(const struct td_group *group, struct td_slice pattern);
