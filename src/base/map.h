/* SPDX-License-Identifier: Apache-2.0 */
/* An open-addressing hash table from 64-bit keys (already well mixed, see topic.h) to fixed-size values.
 *
 * Linear probing with backward-shift deletion; grows at 3/4.  A pointer to a value is good until the
 * next insert or remove.  Values start zeroed.  Every key is legal, 0 too.  Not thread-safe. */
#pragma once

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct td_map {
    uint64_t *_keys; /* 0 is an empty slot; the key 0 has a slot of its own, see map.c */
    unsigned char *_values;
    size_t _value_size;
    size_t _mask; /* slots - 1, or 0 when nothing is allocated */
    size_t len;
};

void td_map_init(struct td_map *map, size_t value_size);
void td_map_done(struct td_map *map);
void td_map_clear(struct td_map *map);
/* The value of `key`, or NULL. */
void *td_map_get(const struct td_map *map, uint64_t key);
/* The value of `key`, inserted zeroed when absent (ret_new, may be NULL, says so).  NULL when memory is out. */
void *td_map_put(struct td_map *map, uint64_t key, bool *ret_new);
/* Removes `key`; whether it was there. */
bool td_map_remove(struct td_map *map, uint64_t key);
/* Iterates in slot order: begin with *cursor = 0; NULL at the end.  No insert or remove meanwhile. */
void *td_map_each(const struct td_map *map, size_t *cursor, uint64_t *ret_key);
/* Bytes of memory that the table holds. */
size_t td_map_bytes(const struct td_map *map);
