/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/state_topic.h"
#include "base/assert.h"
#include <stdlib.h>

static char *text_of(const struct td_state_topic *topic)
{
    return (char *)(uintptr_t)(topic->next + topic->levels);
}

struct td_slice td_state_topic_text(const struct td_state_topic *topic)
{
    return td_slice(text_of(topic), topic->len);
}

static size_t bytes_of(const struct td_state_topic *topic)
{
    return sizeof(*topic) + topic->levels * sizeof(struct td_state_topic *) + topic->len;
}

/* The first topic at or behind a text; `before` gets, on each level, the link that leads there. */
static struct td_state_topic *seek(const struct td_state *state, struct td_slice text,
                                   struct td_state_topic ***before)
{
    struct td_state_topic *const *links = state->head;

    for (size_t level = TD_STATE_LEVELS; level-- > 0;) {
        while (links[level] && td_slice_cmp(td_state_topic_text(links[level]), text) < 0)
            links = links[level]->next;
        if (before)
            before[level] = (struct td_state_topic **)(uintptr_t)&links[level];
    }
    return links[0];
}

struct td_state_topic *td_state_topic_from(const struct td_state *state, struct td_slice text)
{
    return seek(state, text, NULL);
}

struct td_state_topic *td_state_topic_find(const struct td_state *state, struct td_slice text)
{
    struct td_state_topic *topic = seek(state, text, NULL);

    return topic && td_slice_eq(td_state_topic_text(topic), text) ? topic : NULL;
}

/* A quarter of the topics of each level is on the next one too.  By the seeded hash, so that nobody can aim at it. */
static uint8_t levels_of(const struct td_state *state, struct td_slice text)
{
    uint64_t hash = td_topic_key(state->seed, text);
    uint8_t levels = 1;

    while (levels < TD_STATE_LEVELS && hash % 4 == 0) {
        hash /= 4;
        levels++;
    }
    return levels;
}

struct td_state_topic *td_state_topic_get(struct td_state *state, struct td_slice text)
{
    struct td_state_topic **before[TD_STATE_LEVELS];
    struct td_state_topic *topic = seek(state, text, before);

    if (topic && td_slice_eq(td_state_topic_text(topic), text))
        return topic;
    uint8_t levels = levels_of(state, text);
    topic = calloc(1, sizeof(*topic) + levels * sizeof(struct td_state_topic *) + text.len);
    TD_ASSERT(topic && text.len <= TD_TOPIC_LEN_MAX);
    topic->levels = levels;
    topic->len = (uint8_t)text.len;
    topic->group = td_groups_of(state->groups, text);
    memcpy(text_of(topic), text.ptr, text.len);
    for (size_t level = 0; level < levels; level++) {
        topic->next[level] = *before[level];
        *before[level] = topic;
    }
    state->n_topics++;
    state->bytes += bytes_of(topic);
    return topic;
}

void td_state_topic_drop(struct td_state *state, struct td_state_topic *topic)
{
    struct td_state_topic **before[TD_STATE_LEVELS];
    struct td_state_topic *found = seek(state, td_state_topic_text(topic), before);

    TD_ASSERT(found == topic);
    for (size_t level = 0; level < topic->levels; level++)
        *before[level] = topic->next[level];
    state->n_topics--;
    state->bytes -= bytes_of(topic) + topic->slots_cap * sizeof(*topic->slots);
    free(topic->slots);
    free(topic);
}

void td_state_topics_free(struct td_state *state)
{
    struct td_state_topic *topic = state->head[0];

    while (topic) {
        struct td_state_topic *next = topic->next[0];
        free(topic->slots);
        free(topic);
        topic = next;
    }
}

/* ---- the chains of a topic ---- */

size_t td_state_slot_from(const struct td_state_topic *topic, uint64_t seq)
{
    size_t low = 0, high = topic->n_slots;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (topic->slots[middle].seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void close_holes(struct td_state_topic *topic)
{
    size_t n = 0;

    for (size_t i = 0; i < topic->n_slots; i++)
        if (topic->slots[i].entry)
            topic->slots[n++] = topic->slots[i];
    topic->n_slots = n;
    topic->gone = 0;
}

void td_state_slot_add(struct td_state *state, struct td_state_topic *topic, uint64_t seq,
                       struct td_state_entry *entry)
{
    TD_ASSERT(topic->n_slots == 0 || topic->slots[topic->n_slots - 1].seq < seq);
    if (topic->n_slots == topic->slots_cap && topic->gone > topic->n_slots / 2)
        close_holes(topic);
    if (topic->n_slots == topic->slots_cap) {
        size_t cap = topic->slots_cap ? topic->slots_cap * 2 : 2;
        struct td_state_slot *slots = realloc(topic->slots, cap * sizeof(*slots));
        TD_ASSERT(slots);
        state->bytes += (cap - topic->slots_cap) * sizeof(*slots);
        topic->slots = slots;
        topic->slots_cap = cap;
    }
    topic->slots[topic->n_slots++] = (struct td_state_slot){seq, entry};
}

void td_state_slot_kill(struct td_state *state, struct td_state_topic *topic, uint64_t seq)
{
    size_t i = td_state_slot_from(topic, seq);

    if (i == topic->n_slots || topic->slots[i].seq != seq || !topic->slots[i].entry)
        return; /* at the start there are none yet */
    topic->slots[i].entry = NULL;
    topic->gone++;
    if (topic->gone <= 8 || topic->gone <= topic->n_slots / 2)
        return;
    close_holes(topic);
    size_t cap = TD_MAX(topic->n_slots, (size_t)2);
    if (cap > topic->slots_cap / 4)
        return;
    struct td_state_slot *slots = realloc(topic->slots, cap * sizeof(*slots));
    if (!slots)
        return;
    state->bytes -= (topic->slots_cap - cap) * sizeof(*slots);
    topic->slots = slots;
    topic->slots_cap = cap;
}
