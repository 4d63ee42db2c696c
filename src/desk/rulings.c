/* SPDX-License-Identifier: Apache-2.0 */
#include "desk/rulings.h"
#include "base/assert.h"
#include "base/map.h"
#include "base/topic.h"
#include "os/random.h"
#include <stdlib.h>

/* Entries are found by a keyed hash and believed by their whole key.  Two keys with one hash take turns in one place, which costs a question. */
struct td_rulings {
    struct td_map entries; /* struct td_ruling * */
    struct td_list use;
    uint64_t seed;
    size_t max;
};

struct td_rulings *td_rulings_new(size_t max)
{
    struct td_rulings *rulings = calloc(1, sizeof(*rulings));

    TD_ASSERT(max > 0);
    if (!rulings)
        return NULL;
    td_map_init(&rulings->entries, sizeof(struct td_ruling *));
    td_list_init(&rulings->use);
    td_random_bytes(&rulings->seed, sizeof(rulings->seed));
    rulings->max = max;
    return rulings;
}

static void drop(struct td_rulings *rulings, struct td_ruling *ruling)
{
    TD_ASSERT(!ruling->question);
    td_map_remove(&rulings->entries, ruling->_hash);
    td_list_remove(&ruling->_use);
    free(ruling);
}

static struct td_ruling *oldest(struct td_rulings *rulings)
{
    return td_list_empty(&rulings->use)
               ? NULL
               : TD_CONTAINER_OF(rulings->use.next, struct td_ruling, _use);
}

void td_rulings_clear(struct td_rulings *rulings)
{
    struct td_ruling *ruling, *const *place;
    size_t at = 0;
    uint64_t key;

    while ((ruling = oldest(rulings)))
        drop(rulings, ruling);
    while ((place = td_map_each(&rulings->entries, &at, &key)))
        (*place)->expires_at = (*place)->renew_at = 0;
}

void td_rulings_free(struct td_rulings *rulings)
{
    if (!rulings)
        return;
    td_rulings_clear(rulings);
    TD_ASSERT(rulings->entries.len == 0);
    td_map_done(&rulings->entries);
    free(rulings);
}

void td_rulings_limit(struct td_rulings *rulings, size_t max)
{
    struct td_ruling *old;

    TD_ASSERT(max > 0);
    rulings->max = max;
    while (rulings->entries.len > max && (old = oldest(rulings)))
        drop(rulings, old);
}

size_t td_rulings_len(const struct td_rulings *rulings)
{
    return rulings->entries.len;
}

static struct td_ruling *add(struct td_rulings *rulings, uint64_t hash, struct td_slice key)
{
    if (rulings->entries.len >= rulings->max) {
        struct td_ruling *old = oldest(rulings);
        if (!old)
            return NULL;
        drop(rulings, old);
    }
    struct td_ruling *ruling = calloc(1, sizeof(*ruling) + key.len);
    if (!ruling)
        return NULL;
    struct td_ruling **place = td_map_put(&rulings->entries, hash, NULL);
    if (!place) {
        free(ruling);
        return NULL;
    }
    *place = ruling;
    ruling->_hash = hash;
    ruling->_key_len = key.len;
    memcpy(ruling->_key, key.ptr, key.len);
    td_list_init(&ruling->_use);
    td_list_append(&rulings->use, &ruling->_use);
    return ruling;
}

struct td_ruling *td_rulings_get(struct td_rulings *rulings, struct td_slice key)
{
    uint64_t hash = td_topic_key(rulings->seed, key);
    struct td_ruling **place = td_map_get(&rulings->entries, hash);

    if (place && td_slice_eq(td_slice((*place)->_key, (*place)->_key_len), key)) {
        if (!(*place)->question) {
            td_list_remove(&(*place)->_use);
            td_list_append(&rulings->use, &(*place)->_use);
        }
        return *place;
    }
    if (place && (*place)->question)
        return NULL;
    if (place)
        drop(rulings, *place);
    return add(rulings, hash, key);
}

void td_ruling_hold(struct td_ruling *ruling, struct td_question *question)
{
    TD_ASSERT(!ruling->question);
    td_list_remove(&ruling->_use);
    ruling->question = question;
}

void td_ruling_release(struct td_rulings *rulings, struct td_ruling *ruling)
{
    TD_ASSERT(ruling->question);
    ruling->question = NULL;
    td_list_append(&rulings->use, &ruling->_use);
}
