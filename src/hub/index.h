/* SPDX-License-Identifier: Apache-2.0 */
/* The subscription index: from a record's topic to the subscribers of the patterns that match it.  Private to the hub.
 *
 * Each distinct pattern text exists once and is shared by all who asked for it; a subscriber's subscription
 * knows its slot there, so leaving costs nothing that grows.
 *
 * A pattern lies under a key that is its alone, so that what an event costs does not grow with the patterns of others.
 * For those that end in their only wildcard a topic gives the keys (td_topic_keys).  For those with a `*` before their end it
 * gives one for each shape in use (base/topic.h), and the shapes in use are kept by what stands before the
 * first `*`: who subscribes below one prefix costs no event outside of it.  Of shapes below one
 * prefix there are TD_SHAPES_MAX at most, whoever subscribes: a pattern of another is refused.  There are
 * enough for all the shapes of up to TD_SHAPE_SPAN segments from the first `*` on, so that nobody who subscribes
 * to longer ones can have those refused. */
#pragma once

#include "base/map.h"
#include "base/topic.h"
#include "hub/hub.h"

struct td_pattern_slot {
    struct td_subscriber *subscriber;
    uint32_t item; /* which of the subscriber's subscriptions this is */
};

struct td_pattern {
    struct td_pattern *next; /* another pattern whose text has the same hash */
    uint64_t key;            /* the journal's */
    struct td_pattern_slot *slots;
    uint32_t n, cap;
    uint64_t wake;   /* the wakeup that `run` belongs to */
    uint32_t refs;   /* subscriptions that name it, as pattern or as what the client named */
    uint32_t claims; /* those that name it as pattern: it is found by the events that it matches */
    struct td_run *run;
    bool exact;
    uint8_t len;
    char text[];
};

struct td_index {
    struct td_map patterns; /* key → struct td_pattern *, the first of a chain */
    struct td_map shapes; /* key of a prefix and `**` → struct td_shapes *: those in use below it */
    uint64_t seed;
    uint64_t n_patterns, n_slots;
};

/* Segments from the first `*` on, `**` not counted, of the shapes for which there is always room; there are 29 of those. */
#define TD_SHAPE_SPAN 4
/* Shapes below one prefix: with so many in use a longer one is refused. */
#define TD_SHAPES_LONG_MAX 32
#define TD_SHAPES_MAX      (TD_SHAPES_LONG_MAX + 29)
#define TD_INDEX_KEYS_MAX  (TD_TOPIC_KEYS_MAX * (1 + TD_SHAPES_MAX))

void td_index_init(struct td_index *index, uint64_t seed);
void td_index_done(struct td_index *index);
/* The pattern of that text, made when new, with one more reference; NULL when memory is out. */
struct td_pattern *td_index_ref(struct td_index *index, struct td_slice text);
void td_index_unref(struct td_index *index, struct td_pattern *pattern);
/* The same for somebody who subscribes to it: td_index_enter then can't fail.  Ended by td_index_leave, or by
 * td_index_release when it was not entered.  0, -ENOMEM, or TD_ESHAPES; then nothing has changed. */
TD_MUST_USE int td_index_claim(struct td_index *index, struct td_slice text,
                               struct td_pattern **ret_pattern);
void td_index_release(struct td_index *index, struct td_pattern *pattern);
/* Files the subscriber's subscription number `item`, whose pattern has been claimed. */
void td_index_enter(struct td_index *index, struct td_subscriber *subscriber, uint32_t item);
/* Takes it out and releases its pattern. */
void td_index_leave(struct td_index *index, struct td_subscriber *subscriber, uint32_t item);
/* The keys under which every subscribed pattern that matches a topic is found; returns how many. */
size_t td_index_keys(const struct td_index *index, struct td_slice topic,
                     uint64_t ret_keys[TD_INDEX_KEYS_MAX]);
/* The first pattern under a key; go on by `next`. */
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
