/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/index.h"
#include "base/assert.h"
#include "base/err.h"
#include <errno.h>

/* The shapes in use below one prefix. */
struct td_shapes {
    size_t n;
    struct shape_in_use {
        struct td_shape shape;
        uint32_t patterns;
    } used[];
};

void td_index_init(struct td_index *index, uint64_t seed)
{
    *index = (struct td_index){.seed = seed};
    td_map_init(&index->patterns, sizeof(struct td_pattern *));
    td_map_init(&index->shapes, sizeof(struct td_shapes *));
}

void td_index_done(struct td_index *index)
{
    TD_ASSERT(index->n_patterns == 0 && index->shapes.len == 0);
    td_map_done(&index->patterns);
    td_map_done(&index->shapes);
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

/* Where a pattern lies: what the journal files its events under is its alone, or else its text is. */
static uint64_t place(const struct td_index *index, struct td_slice text, bool exact, uint64_t key)
{
    return exact ? key : td_topic_key(index->seed, text);
}

struct td_pattern *td_index_ref(struct td_index *index, struct td_slice text)
{
    bool exact;
    uint64_t key = td_pattern_key(index->seed, text, &exact);
    uint64_t at = place(index, text, exact, key);
    struct td_pattern *pattern = td_index_find(index, at);

    TD_ASSERT(text.len > 0 && text.len <= TD_TOPIC_LEN_MAX);
    while (pattern && !td_slice_eq(td_pattern_text(pattern), text))
        pattern = pattern->next;
    if (!pattern) {
        pattern = pattern_new(text, key, exact);
        if (!pattern)
            return NULL;
        struct td_pattern **head = td_map_put(&index->patterns, at, NULL);
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
    TD_ASSERT(pattern->n == 0 && pattern->claims == 0);
    uint64_t key = place(index, td_pattern_text(pattern), pattern->exact, pattern->key);
    struct td_pattern **at = td_map_get(&index->patterns, key);
    TD_ASSERT(at);
    if (*at == pattern && !pattern->next) {
        td_map_remove(&index->patterns, key);
    } else {
        while (*at != pattern)
            at = &(*at)->next;
        *at = pattern->next;
    }
    index->n_patterns--;
    free(pattern->slots);
    free(pattern);
}

static struct shape_in_use *find_shape(struct td_shapes *shapes, struct td_shape shape)
{
    for (size_t i = 0; i < shapes->n; i++)
        if (memcmp(&shapes->used[i].shape, &shape, sizeof(shape)) == 0)
            return &shapes->used[i];
    return NULL;
}

/* Whether a prefix below which `n` shapes are in use has no room for another. */
static bool is_refused(struct td_shape shape, size_t n)
{
    unsigned span = shape.segments - TD_LOW_BIT(shape.stars);

    return n >= (span > TD_SHAPE_SPAN ? TD_SHAPES_LONG_MAX : TD_SHAPES_MAX);
}

/* Notes that one more pattern of its shape is in use. */
static int use_shape(struct td_index *index, const struct td_pattern *pattern)
{
    struct td_shape shape = td_pattern_shape(td_pattern_text(pattern));
    struct td_shapes **at = td_map_put(&index->shapes, pattern->key, NULL);
    size_t n = at && *at ? (*at)->n : 0;
    struct shape_in_use *used = n > 0 ? find_shape(*at, shape) : NULL;

    if (used) {
        used->patterns++;
        return 0;
    }
    if (is_refused(shape, n))
        return TD_ESHAPES;
    struct td_shapes *shapes = at ? realloc(*at, sizeof(*shapes) + (n + 1) * sizeof(*used)) : NULL;
    if (!shapes) {
        if (at && n == 0)
            td_map_remove(&index->shapes, pattern->key);
        return -ENOMEM;
    }
    shapes->n = n + 1;
    shapes->used[n] = (struct shape_in_use){shape, 1};
    *at = shapes;
    return 0;
}

static void disuse_shape(struct td_index *index, const struct td_pattern *pattern)
{
    struct td_shapes **at = td_map_get(&index->shapes, pattern->key), *shapes = *at;
    struct shape_in_use *used = find_shape(shapes, td_pattern_shape(td_pattern_text(pattern)));

    TD_ASSERT(used);
    if (--used->patterns > 0)
        return;
    *used = shapes->used[--shapes->n];
    if (shapes->n > 0)
        return;
    td_map_remove(&index->shapes, pattern->key);
    free(shapes);
}

static int reserve_slot(struct td_pattern *pattern)
{
    if (pattern->claims < pattern->cap)
        return 0;
    /* A pattern with few subscribers, as one's own topic, costs few slots; a wide one grows by half. */
    size_t cap = TD_MAX(pattern->claims + 1, pattern->cap + pattern->cap / 2);
    struct td_pattern_slot *slots = realloc(pattern->slots, cap * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    pattern->slots = slots;
    pattern->cap = (uint32_t)cap;
    return 0;
}

int td_index_claim(struct td_index *index, struct td_slice text, struct td_pattern **ret_pattern)
{
    struct td_pattern *pattern = td_index_ref(index, text);

    if (!pattern)
        return -ENOMEM;
    int r = reserve_slot(pattern);
    if (r == 0 && pattern->claims == 0 && !pattern->exact)
        r = use_shape(index, pattern);
    if (r < 0) {
        td_index_unref(index, pattern);
        return r;
    }
    pattern->claims++;
    *ret_pattern = pattern;
    return 0;
}

void td_index_release(struct td_index *index, struct td_pattern *pattern)
{
    TD_ASSERT(pattern->claims > pattern->n);
    if (--pattern->claims == 0 && !pattern->exact)
        disuse_shape(index, pattern);
    td_index_unref(index, pattern);
}

void td_index_enter(struct td_index *index, struct td_subscriber *subscriber, uint32_t item)
{
    struct td_subscription *sub = &subscriber->_subs[item];
    struct td_pattern *pattern = sub->pattern;

    TD_ASSERT(pattern->n < pattern->claims);
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
    td_index_release(index, pattern);
}

size_t td_index_keys(const struct td_index *index, struct td_slice topic,
                     uint64_t ret_keys[TD_INDEX_KEYS_MAX])
{
    size_t n_plain = td_topic_keys(index->seed, topic, ret_keys), n = n_plain;

    for (size_t i = 0; i < n_plain && index->shapes.len > 0; i++) {
        struct td_shapes **at = td_map_get(&index->shapes, ret_keys[i]);
        for (size_t k = 0; at && k < (*at)->n; k++) {
            struct td_shape shape = (*at)->used[k].shape;
            if (td_shape_fits(shape, n_plain - 3)) /* a topic has three keys more than segments */
                ret_keys[n++] = td_shape_key(index->seed, shape, topic);
        }
    }
    return n;
}
