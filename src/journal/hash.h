/* SPDX-License-Identifier: Apache-2.0 */
/* A keyed hash of what publishers choose, so that nobody can aim at a value: SipHash-2-4 with 128 bits of
 * output (Aumasson and Bernstein, 2012). */
#pragma once

#include "base/slice.h"

struct td_hash {
    uint64_t _v[4];
    uint64_t _tail; /* bytes that do not fill a word yet, the first lowest */
    uint64_t _len;
};

void td_hash_init(struct td_hash *hash, uint64_t key0, uint64_t key1);
void td_hash_put(struct td_hash *hash, struct td_slice bytes);
/* Puts a number as 8 bytes. */
void td_hash_u64(struct td_hash *hash, uint64_t number);
/* Puts length and bytes, so that neighbours cannot flow into each other. */
void td_hash_field(struct td_hash *hash, struct td_slice bytes);
/* Ends the hash, which must not be used again. */
void td_hash_end(struct td_hash *hash, uint64_t ret_value[2]);
