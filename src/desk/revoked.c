/* SPDX-License-Identifier: Apache-2.0 */
#include "desk/revoked.h"
#include "base/err.h"
#include "base/json.h"
#include "base/map.h"
#include "os/random.h"
#include "os/thread.h"
#include <errno.h>
#include <stdlib.h>

/* One subject.  Two whose segments have the same hash share a chain. */
struct entry {
    struct entry *next;
    struct td_slice segment;
    struct td_taken taken;
    /* patterns, then texts */
};

struct td_revoked {
    struct td_revocations table;
    uint64_t seed;
    struct td_mutex mutex; /* over what follows */
    struct td_map entries; /* hash of a segment → struct entry * */
    size_t n;
};

static void find(struct td_revocations *table, struct td_slice segment,
                 void (*look)(void *arg, const struct td_taken *taken), void *arg)
{
    struct td_revoked *revoked = TD_CONTAINER_OF(table, struct td_revoked, table);

    if (atomic_load_explicit(&table->revision, memory_order_acquire) == 0)
        return; /* nothing was ever taken from anybody */
    td_mutex_lock(&revoked->mutex);
    struct entry **place = td_map_get(&revoked->entries, td_topic_key(revoked->seed, segment));
    for (struct entry *entry = place ? *place : NULL; entry; entry = entry->next) {
        if (td_slice_eq(entry->segment, segment)) {
            look(arg, &entry->taken);
            break;
        }
    }
    td_mutex_unlock(&revoked->mutex);
}

struct td_revoked *td_revoked_new(void)
{
    struct td_revoked *revoked = calloc(1, sizeof(*revoked));

    if (!revoked)
        return NULL;
    revoked->table.find = find;
    td_random_bytes(&revoked->seed, sizeof(revoked->seed));
    td_mutex_init(&revoked->mutex);
    td_map_init(&revoked->entries, sizeof(struct entry *));
    return revoked;
}

void td_revoked_free(struct td_revoked *revoked)
{
    uint64_t key;
    size_t at = 0;
    struct entry **place;

    if (!revoked)
        return;
    while ((place = td_map_each(&revoked->entries, &at, &key))) {
        for (struct entry *entry = *place, *next; entry; entry = next) {
            next = entry->next;
            free(entry);
        }
    }
    td_map_done(&revoked->entries);
    td_mutex_done(&revoked->mutex);
    free(revoked);
}

struct td_revocations *td_revoked_table(struct td_revoked *revoked)
{
    return &revoked->table;
}

static struct td_slice copy_text(char **at, struct td_slice text)
{
    struct td_slice copy = td_slice(*at, text.len);

    memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

static struct entry *entry_new(struct td_slice segment, const struct td_taken *taken)
{
    size_t bytes = segment.len;

    for (size_t i = 0; i < taken->n; i++)
        bytes += taken->patterns[i].len;
    struct entry *entry = malloc(sizeof(*entry) + taken->n * sizeof(struct td_slice) + bytes);
    if (!entry)
        return NULL;
    struct td_slice *patterns = (struct td_slice *)(void *)(entry + 1);
    char *at = (char *)(patterns + taken->n);
    *entry = (struct entry){
        .segment = copy_text(&at, segment),
        .taken = {.before = taken->before, .patterns = patterns, .n = taken->n},
    };
    for (size_t i = 0; i < taken->n; i++)
        patterns[i] = copy_text(&at, taken->patterns[i]);
    return entry;
}

static void remove_entry(struct td_revoked *revoked, uint64_t key, struct td_slice segment)
{
    struct entry **place = td_map_get(&revoked->entries, key);

    for (struct entry **at = place; at && *at; at = &(*at)->next) {
        struct entry *entry = *at;
        if (!td_slice_eq(entry->segment, segment))
            continue;
        *at = entry->next;
        free(entry);
        revoked->n--;
        break;
    }
    if (place && !*place)
        td_map_remove(&revoked->entries, key);
}

int td_revoked_set(struct td_revoked *revoked, struct td_slice segment,
                   const struct td_taken *taken)
{
    uint64_t key = td_topic_key(revoked->seed, segment);
    struct entry *entry = NULL;
    int r = 0;

    if (taken->before > 0 || taken->n > 0) {
        entry = entry_new(segment, taken);
        if (!entry)
            return -ENOMEM;
    }
    td_mutex_lock(&revoked->mutex);
    remove_entry(revoked, key, segment);
    if (entry && revoked->n >= TD_REVOKED_MAX)
        r = TD_ETOOLARGE;
    struct entry **place = entry && r == 0 ? td_map_put(&revoked->entries, key, NULL) : NULL;
    if (place) {
        entry->next = *place;
        *place = entry;
        revoked->n++;
    } else if (entry) {
        free(entry);
        r = r < 0 ? r : -ENOMEM;
    }
    td_mutex_unlock(&revoked->mutex);
    atomic_fetch_add_explicit(&revoked->table.revision, 1, memory_order_release);
    return r;
}

int td_revoked_read(struct td_slice json, struct td_buf *text, struct td_slice *patterns,
                    struct td_taken *ret)
{
    struct td_slice member, name, item;

    *ret = (struct td_taken){.patterns = patterns};
    if (td_json_type(json) != TD_JSON_OBJECT)
        return TD_EINVAL;
    if (td_json_get(json, "before", &member) && td_json_type(member) != TD_JSON_NULL &&
        (td_json_type(member) != TD_JSON_NUMBER || td_json_u64(member, &ret->before) < 0))
        return TD_EINVAL;
    if (!td_json_get(json, "subscribe", &member) || td_json_type(member) == TD_JSON_NULL)
        return 0;
    if (td_json_type(member) != TD_JSON_ARRAY)
        return TD_EINVAL;
    struct td_json_iter it = td_json_iter(member);
    while (td_json_next(&it, &name, &item)) {
        size_t at = text->len;
        if (ret->n == TD_TAKEN_MAX || td_json_type(item) != TD_JSON_STRING ||
            td_json_unescape(item, text) < 0)
            return TD_EINVAL;
        patterns[ret->n] = td_slice(text->ptr + at, text->len - at);
        if (!td_pattern_valid(patterns[ret->n]))
            return TD_EINVAL;
        ret->n++;
    }
    return 0;
}
