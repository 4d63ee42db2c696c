/* SPDX-License-Identifier: Apache-2.0 */
/* Slots are a power of two; a key's home is its low bits.  One slot more than the mask reaches stands
 * behind the others for the key 0, which marks an empty slot elsewhere: there, 1 means "in use". */
#include "base/map.h"
#include "base/assert.h"
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN ((size_t)16)

static size_t slots(const struct td_map *map)
{
    return map->_mask ? map->_mask + 1 : 0;
}

static void *value_at(const struct td_map *map, size_t slot)
{
    return map->_values + slot * map->_value_size;
}

void td_map_init(struct td_map *map, size_t value_size)
{
    TD_ASSERT(value_size > 0);
    *map = (struct td_map){._value_size = value_size};
}

void td_map_done(struct td_map *map)
{
    free(map->_keys);
    free(map->_values);
    *map = (struct td_map){._value_size = map->_value_size};
}

void td_map_clear(struct td_map *map)
{
    if (map->_mask)
        memset(map->_keys, 0, (slots(map) + 1) * sizeof(*map->_keys));
    map->len = 0;
}

/* The slot of `key`, or the empty one where it belongs.  Fullness below 3/4 ends the loop. */
static size_t probe(const struct td_map *map, uint64_t key)
{
    if (key == 0)
        return map->_mask + 1;
    size_t slot = key & map->_mask;
    while (map->_keys[slot] != 0 && map->_keys[slot] != key)
        slot = (slot + 1) & map->_mask;
    return slot;
}

void *td_map_get(const struct td_map *map, uint64_t key)
{
    if (map->len == 0)
        return NULL;
    size_t slot = probe(map, key);
    return map->_keys[slot] ? value_at(map, slot) : NULL;
}

/* Moves everything to a table of twice the size; false, and nothing changed, when memory is out. */
static bool grow(struct td_map *map)
{
    size_t wanted = map->_mask ? 2 * slots(map) : SLOTS_MIN;
    struct td_map wide = {._value_size = map->_value_size, ._mask = wanted - 1, .len = map->len};

    wide._keys = calloc(wanted + 1, sizeof(*wide._keys));
    wide._values = reallocarray(NULL, wanted + 1, map->_value_size);
    if (!wide._keys || !wide._values) {
        td_map_done(&wide);
        return false;
    }
    for (size_t i = 0; map->_mask && i <= slots(map); i++) {
        if (map->_keys[i] == 0)
            continue;
        size_t slot = i == slots(map) ? wanted : probe(&wide, map->_keys[i]);
        wide._keys[slot] = map->_keys[i];
        memcpy(value_at(&wide, slot), value_at(map, i), map->_value_size);
    }
    td_map_done(map);
    *map = wide;
    return true;
}

void *td_map_put(struct td_map *map, uint64_t key, bool *ret_new)
{
    void *value = td_map_get(map, key);

    if (!value) {
        if ((map->len + 1) * 4 > slots(map) * 3 && !grow(map))
            return NULL;
        size_t slot = probe(map, key);
        map->_keys[slot] = key ? key : 1;
        map->len++;
        value = memset(value_at(map, slot), 0, map->_value_size);
        if (ret_new)
            *ret_new = true;
    } else if (ret_new) {
        *ret_new = false;
    }
    return value;
}

bool td_map_remove(struct td_map *map, uint64_t key)
{
    if (!td_map_get(map, key))
        return false;
    size_t hole = probe(map, key);
    map->_keys[hole] = 0;
    map->len--;
    if (key == 0)
        return true;
    /* Each key up to the next empty slot moves into the hole unless it lies between the hole and
     * its home, so that no probe ever meets a gap. */
    for (size_t slot = (hole + 1) & map->_mask; map->_keys[slot] != 0;
         slot = (slot + 1) & map->_mask) {
        size_t from_home = (slot - (size_t)map->_keys[slot]) & map->_mask;
        if (from_home < ((slot - hole) & map->_mask))
            continue;
        map->_keys[hole] = map->_keys[slot];
        memcpy(value_at(map, hole), value_at(map, slot), map->_value_size);
        map->_keys[slot] = 0;
        hole = slot;
    }
    return true;
}

void *td_map_each(const struct td_map *map, size_t *cursor, uint64_t *ret_key)
{
    if (!map->_mask)
        return NULL;
    while (*cursor <= slots(map)) {
        size_t slot = (*cursor)++;
        if (map->_keys[slot] == 0)
            continue;
        *ret_key = slot == slots(map) ? 0 : map->_keys[slot];
        return value_at(map, slot);
    }
    return NULL;
}

size_t td_map_bytes(const struct td_map *map)
{
    return map->_mask ? (slots(map) + 1) * (sizeof(*map->_keys) + map->_value_size) : 0;
}
