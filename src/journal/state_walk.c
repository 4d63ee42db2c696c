/* SPDX-License-Identifier: Apache-2.0 */
/* Walking the state: the topics that some patterns match, in order, and in each the chains that are seen as of a position. */
#include "base/assert.h"
#include "journal/cursor.h"
#include "journal/state_topic.h"

/* Where the next topic that a pattern may match can be. */
struct range {
    bool inside; /* here */
    bool ahead;  /* not before `next` */
    struct td_slice next;
    char text[TD_TOPIC_LEN_MAX + 1];
};

/* Takes `text` for the next place when it lies behind `here` and before what there is. */
static void look_ahead(struct range *range, struct td_slice here, struct td_slice text)
{
    if (td_slice_cmp(text, here) <= 0 || (range->ahead && td_slice_cmp(range->next, text) <= 0))
        return;
    range->ahead = true;
    memcpy(range->text, text.ptr, text.len);
    range->next = td_slice(range->text, text.len);
}

/* What of a pattern stands before its first `*`, with the '/' before that. */
static struct td_slice literal(struct td_slice pattern)
{
    const char *star = pattern.len > 0 ? memchr(pattern.ptr, '*', pattern.len) : NULL;

    return star ? td_slice_to(pattern, (size_t)(star - pattern.ptr)) : pattern;
}

/* Below `a/` are the topics that `a/…` patterns match; `a` itself, which `a/` and `**` matches too, stands apart from them. */
static void look_at_pattern(struct range *range, struct td_slice here, struct td_slice pattern)
{
    struct td_slice prefix = literal(pattern);

    if (prefix.len == pattern.len) {
        range->inside = range->inside || td_slice_eq(here, pattern);
        look_ahead(range, here, pattern);
        return;
    }
    range->inside = range->inside || td_slice_starts(here, prefix);
    look_ahead(range, here, prefix);
    if (prefix.len == 0 || pattern.len != prefix.len + 2 || pattern.ptr[prefix.len + 1] != '*')
        return;
    struct td_slice parent = td_slice_to(prefix, prefix.len - 1);
    range->inside = range->inside || td_slice_eq(here, parent);
    look_ahead(range, here, parent);
}

static bool matches(const struct td_state_walk *walk, struct td_slice topic)
{
    for (size_t i = 0; i < walk->n_wanted; i++)
        if (td_wanted_matches(&walk->wanted[i], topic))
            return true;
    return false;
}

/* The first topic from `topic` on that is wanted.  NULL when there is none, or no more may be looked at (then the cursor
 * stands at the next one). */
static struct td_state_topic *next_wanted(const struct td_state *state, struct td_state_walk *walk,
                                          struct td_state_topic *topic)
{
    while (topic) {
        struct td_slice here = td_state_topic_text(topic);
        struct range range = {0};

        walk->cursor->topic_len = topic->len;
        memcpy(walk->cursor->topic, here.ptr, here.len);
        walk->cursor->chain = walk->cursor->seq = 0;
        if (walk->topics_left == 0)
            return NULL;
        walk->topics_left--;
        if (matches(walk, here))
            return topic;
        for (size_t i = 0; i < walk->n_wanted; i++)
            look_at_pattern(&range, here, walk->wanted[i].pattern);
        if (range.inside)
            topic = topic->next[0];
        else
            topic = range.ahead ? td_state_topic_from(state, range.next) : NULL;
    }
    walk->ended = true;
    return NULL;
}

/* Whether something at or before `as_of` has replaced the chain that begins with a link. */
static bool replaced(const struct td_state_entry *entry, uint32_t link, uint64_t as_of)
{
    if (link == entry->last)
        return false;
    if (entry->links[entry->last].seq <= as_of)
        return true;
    for (uint32_t i = link + 1; i < entry->last && entry->links[i].seq <= as_of; i++)
        if (entry->links[i].begins || entry->links[i].removes)
            return true;
    return false;
}

static size_t pick_chain(const struct td_state_walk *walk, const struct td_state_slot *slot,
                         struct td_state_pick *picks, size_t max)
{
    const struct td_state_entry *entry = slot->entry;
    uint32_t first = td_state_link_from(entry, slot->seq);
    uint64_t after = walk->cursor->chain == slot->seq ? walk->cursor->seq : 0;
    size_t n = 0;

    TD_ASSERT(first < entry->n && entry->links[first].seq == slot->seq);
    if (replaced(entry, first, walk->as_of))
        return 0;
    for (uint32_t i = TD_MAX(first, td_state_link_from(entry, after + 1)); i < entry->n && n < max;
         i++) {
        const struct td_state_link *link = &entry->links[i];
        if (link->seq > walk->as_of || (i > first && (link->begins || link->removes)))
            break;
        picks[n++] = (struct td_state_pick){slot->seq, link->seq};
    }
    return n;
}

static size_t pick_topic(const struct td_state *state, const struct td_state_walk *walk,
                         const struct td_state_topic *topic, struct td_state_pick *picks,
                         size_t max)
{
    size_t n = 0;

    for (size_t i = td_state_slot_from(topic, walk->cursor->chain); i < topic->n_slots && n < max;
         i++) {
        const struct td_state_slot *slot = &topic->slots[i];
        if (slot->seq > walk->as_of)
            break;
        if (slot->entry && !td_state_expired(state, slot->entry, walk->now))
            n += pick_chain(walk, slot, picks + n, max - n);
    }
    return n;
}

size_t td_state_walk(struct td_state *state, struct td_state_walk *walk,
                     struct td_state_pick *ret_picks, size_t max)
{
    struct td_state_cursor *cursor = walk->cursor;
    struct td_slice at = td_slice(cursor->topic, cursor->topic_len);
    size_t n = 0;

    td_mutex_lock(&state->mutex);
    struct td_state_topic *topic = td_state_topic_from(state, at);
    if (topic && td_slice_eq(td_state_topic_text(topic), at) && matches(walk, at))
        n = pick_topic(state, walk, topic, ret_picks, max);
    if (n == 0 && topic && cursor->chain > 0 && td_slice_eq(td_state_topic_text(topic), at))
        topic = topic->next[0];
    while (n == 0 && (topic = next_wanted(state, walk, topic))) {
        n = pick_topic(state, walk, topic, ret_picks, max);
        topic = n == 0 ? topic->next[0] : topic;
    }
    td_mutex_unlock(&state->mutex);
    return n;
}
