/* SPDX-License-Identifier: Apache-2.0 */
/* The subscription index: from a record's topic to the subscribers of the patterns that match it.  Private to the hub.
 *
 * Each distinct pattern text exists once, filed under its key (base/topic.h) and shared by all who asked
 * for it; a subscriber's subscription knows its slot there, so leaving costs nothing that grows. */
#pragma once

#include "base/map.h"
#include "base/topic.h"
#include "hub/hub.h"

struct td_pattern_slot {
    struct td_subscriber *subscriber;
    uint32_t item; /* which of the subscriber's subscriptions this is */
};

struct td_pattern {
    struct td_pattern *next; /* another pattern under the same key */
    uint64_t key;
    struct td_pattern_slot *slots;
    uint32_t n, cap;
    uint64_t wake; /* the wakeup that `run` belongs to */
    uint32_t refs; /* subscriptions that name it, as pattern or as what the client named */
    struct td_run *run;
    bool exact;
    uint8_t len;
    char text[];
};

struct td_index {
    struct td_map patterns; /* key → struct td_pattern *, the first of a chain */
    uint64_t seed;
    uint64_t n_patterns, n_slots;
};

void td_index_init(struct td_index *index, uint64_t seed);
void td_index_done(struct td_index *index);
/* The pattern of that text, made when new, with one more reference; NULL when memory is out. */
struct td_pattern *td_index_ref(struct td_index *index, struct td_slice text);
void td_index_unref(struct td_index *index, struct td_pattern *pattern);
/* Makes sure that one more td_index_enter can't fail for want of memory.  0 or -ENOMEM. */
TD_MUST_USE int td_index_reserve(struct td_pattern *pattern, size_t more);
/* Files the subscriber's subscription number `item`. */
void td_index_enter(struct td_index *index, struct td_subscriber *subscriber, uint32_t item);
void td_index_leave(struct td_index *index, struct td_subscriber *subscriber, uint32_t item);
/* The first pattern filed under a key; go on by `next`. */
struct td_pattern *td_index_find(const struct td_index *index, uint64_t key);

static inline struct td_slice td_pattern_text(const struct td_pattern *pattern)
{
    return td_slice(pattern->text, pattern->len);
}

/* The pattern as the journal looks for it. */
static inline struct td_wanted td_pattern_wanted(const struct td_pattern *pattern)
{
    return (struct td_wanted){pattern->key, td_pattern_text(pattern), pattern->exact};
}
