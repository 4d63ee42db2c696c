/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/hash.h"

static uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void rounds(uint64_t v[4], unsigned n)
{
    while (n-- > 0) {
        v[0] += v[1];
        v[1] = rotl(v[1], 13) ^ v[0];
        v[0] = rotl(v[0], 32);
        v[2] += v[3];
        v[3] = rotl(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotl(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotl(v[1], 17) ^ v[2];
        v[2] = rotl(v[2], 32);
    }
}

static void put_word(struct td_hash *hash, uint64_t word)
{
    hash->_v[3] ^= word;
    rounds(hash->_v, 2);
    hash->_v[0] ^= word;
}

void td_hash_init(struct td_hash *hash, uint64_t key0, uint64_t key1)
{
    *hash = (struct td_hash){
        ._v = {key0 ^ UINT64_C(0x736f6d6570736575), key1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
               key0 ^ UINT64_C(0x6c7967656e657261), key1 ^ UINT64_C(0x7465646279746573)},
    };
}

void td_hash_put(struct td_hash *hash, struct td_slice bytes)
{
    size_t at = 0;

    for (; at < bytes.len && hash->_len % 8 != 0; at++) {
        hash->_tail |= (uint64_t)(unsigned char)bytes.ptr[at] << 8 * (hash->_len % 8);
        hash->_len++;
        if (hash->_len % 8 == 0) {
            put_word(hash, hash->_tail);
            hash->_tail = 0;
        }
    }
    for (; bytes.len - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, bytes.ptr + at, 8);
        put_word(hash, word);
        hash->_len += 8;
    }
    for (; at < bytes.len; at++) {
        hash->_tail |= (uint64_t)(unsigned char)bytes.ptr[at] << 8 * (hash->_len % 8);
        hash->_len++;
    }
}

void td_hash_u64(struct td_hash *hash, uint64_t number)
{
    char bytes[8];

    memcpy(bytes, &number, sizeof(bytes));
    td_hash_put(hash, td_slice(bytes, sizeof(bytes)));
}

void td_hash_field(struct td_hash *hash, struct td_slice bytes)
{
    td_hash_u64(hash, bytes.len);
    td_hash_put(hash, bytes);
}

void td_hash_end(struct td_hash *hash, uint64_t ret_value[2])
{
    put_word(hash, hash->_tail | hash->_len << 56);
    hash->_v[2] ^= 0xee;
    rounds(hash->_v, 4);
    ret_value[0] = hash->_v[0] ^ hash->_v[1] ^ hash->_v[2] ^ hash->_v[3];
    hash->_v[1] ^= 0xdd;
    rounds(hash->_v, 4);
    ret_value[1] = hash->_v[0] ^ hash->_v[1] ^ hash->_v[2] ^ hash->_v[3];
}
