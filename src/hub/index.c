/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/index.h"
#include "base/assert.h"
#include <errno.h>

void td_index_init(struct td_index *index, uint64_t seed)
{
    *index = (struct td_index){.seed = seed};
    td_map_init(&index->patterns, sizeof(struct td_pattern *));
}

void td_index_done(struct td_index *index)
{
    TD_ASSERT(index->n_patterns == 0);
    td_map_done(&index->patterns);
}

struct td_pattern *td_index_find(const struct td_index *index, uint64_t key)
{
    struct td_pattern **head = td_map_get(&index->patterns, key);

    return head ? *head : NULL;
}

static struct td_pattern *pattern_new(struct td_slice text, uint64_t key, bool exact)
{
    struct td_pattern *pattern = calloc(1, sizeof(*pattern) + text.len);

    if (!pattern)
        return NULL;
    pattern->key = key;
    pattern->exact = exact;
    pattern->len = (uint8_t)text.len;
    memcpy(pattern->text, text.ptr, text.len);
    return pattern;
}

struct td_pattern *td_index_ref(struct td_index *index, struct td_slice text)
{
    bool exact;
    uint64_t key = td_pattern_key(index->seed, text, &exact);
    struct td_pattern *pattern = td_index_find(index, key);

    TD_ASSERT(text.len > 0 && text.len <= TD_TOPIC_LEN_MAX);
    while (pattern && !td_slice_eq(td_pattern_text(pattern), text))
        pattern = pattern->next;
    if (!pattern) {
        pattern = pattern_new(text, key, exact);
        if (!pattern)
            return NULL;
        struct td_pattern **head = td_map_put(&index->patterns, key, NULL);
        if (!head) {
            free(pattern);
            return NULL;
        }
        pattern->next = *head;
        *head = pattern;
        index->n_patterns++;
    }
    pattern->refs++;
    return pattern;
}

void td_index_unref(struct td_index *index, struct td_pattern *pattern)
{
    TD_ASSERT(pattern->refs > 0);
    if (--pattern->refs > 0)
        return;
    TD_ASSERT(pattern->n == 0);
    struct td_pattern **at = td_map_get(&index->patterns, pattern->key);
    TD_ASSERT(at);
    if (*at == pattern && !pattern->next) {
        td_map_remove(&index->patterns, pattern->key);
    } else {
        while (*at != pattern)
            at = &(*at)->next;
        *at = pattern->next;
    }
    index->n_patterns--;
    free(pattern->slots);
    free(pattern);
}

int td_index_reserve(struct td_pattern *pattern, size_t more)
{
    if (pattern->cap - pattern->n >= more)
        return 0;
    /* A pattern with few subscribers, as one's own topic, costs few slots; a wide one grows by half. */
    size_t cap = TD_MAX(pattern->n + more, pattern->cap + pattern->cap / 2);
    struct td_pattern_slot *slots = realloc(pattern->slots, cap * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    pattern->slots = slots;
    pattern->cap = (uint32_t)cap;
    return 0;
}

void td_index_enter(struct td_index *index, struct td_subscriber *subscriber, uint32_t item)
{
    struct td_subscription *sub = &subscriber->_subs[item];
    struct td_pattern *pattern = sub->pattern;

    TD_ASSERT(pattern->n < pattern->cap);
    sub->slot = pattern->n;
    pattern->slots[pattern->n++] = (struct td_pattern_slot){subscriber, item};
    index->n_slots++;
}

void td_index_leave(struct td_index *index, struct td_subscriber *subscriber, uint32_t item)
{
    struct td_subscription *sub = &subscriber->_subs[item];
    struct td_pattern *pattern = sub->pattern;
    struct td_pattern_slot *slot = &pattern->slots[sub->slot];

    TD_ASSERT(sub->slot < pattern->n && slot->subscriber == subscriber && slot->item == item);
    *slot = pattern->slots[--pattern->n];
    if (sub->slot < pattern->n)
        slot->subscriber->_subs[slot->item].slot = sub->slot;
    index->n_slots--;
}
