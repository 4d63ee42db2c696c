/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/dedup.h"
#include "base/assert.h"
#include "base/err.h"
#include "journal/hash.h"
#include <stdlib.h>

struct known {
    uint64_t second; /* half of the key's hash */
    uint64_t content, seq;
    td_ns until; /* 0: its window had ended when it was read */
};

/* Keys of drafts and of batches never meet. */
enum kind { KIND_DRAFT = 1, KIND_BATCH = 2 };

void td_dedup_init(struct td_dedup *dedup, uint64_t seed, size_t max, uint64_t window_ms)
{
    *dedup = (struct td_dedup){
        .max = max,
        .window = TD_MIN(window_ms, UINT64_MAX / 2 / TD_NS_PER_MS) * TD_NS_PER_MS,
        .seed = seed,
    };
    td_map_init(&dedup->map, sizeof(struct known));
}

void td_dedup_done(struct td_dedup *dedup)
{
    td_map_done(&dedup->map);
    free(dedup->ring);
    free(dedup->ring_seqs);
}

bool td_dedup_hash(const struct td_dedup *dedup, const struct td_batch *batch, size_t i,
                   struct td_record_dedup *ret_hash)
{
    const struct td_draft *draft = &batch->drafts[i];
    bool own = draft->dedup.len > 0;
    uint64_t content[2];
    struct td_hash hash;

    if (!own && batch->dedup.len == 0)
        return false;
    td_hash_init(&hash, dedup->seed, ~dedup->seed);
    td_hash_u64(&hash, own ? KIND_DRAFT : KIND_BATCH);
    td_hash_field(&hash, own ? draft->dedup_scope : batch->dedup_scope);
    td_hash_field(&hash, own ? draft->dedup : batch->dedup);
    if (!own)
        td_hash_u64(&hash, i);
    td_hash_end(&hash, ret_hash->key);

    td_hash_init(&hash, ~dedup->seed, dedup->seed);
    td_hash_field(&hash, draft->topic);
    td_hash_field(&hash, draft->said.ptr ? TD_S("") : draft->type); /* no type is empty */
    td_hash_field(&hash, draft->said.ptr ? TD_S("") : draft->key);
    td_hash_field(&hash, draft->said.ptr ? draft->said : draft->data);
    td_hash_u64(&hash, own ? 0 : batch->n);
    if (draft->class != TD_CLASS_LOG)
        td_hash_u64(&hash, (uint64_t)draft->class);
    td_hash_end(&hash, content);
    ret_hash->content = content[0];
    return true;
}

static const struct known *find(const struct td_dedup *dedup, const uint64_t key[2], td_ns now)
{
    const struct known *known = td_map_get(&dedup->map, key[0]);

    return known && known->second == key[1] && now <= known->until ? known : NULL;
}

int64_t td_dedup_find(const struct td_dedup *dedup, const struct td_record_dedup *hash, td_ns now)
{
    const struct known *known = find(dedup, hash->key, now);

    if (!known)
        return 0;
    return known->content == hash->content ? (int64_t)known->seq : TD_EMISMATCH;
}

bool td_dedup_holds(const struct td_dedup *dedup, const struct td_index_dedup *entry, td_ns now)
{
    const struct known *known = find(dedup, entry->key, now);

    return known && known->seq == entry->seq;
}

static void forget_oldest(struct td_dedup *dedup)
{
    size_t at = dedup->ring_head;
    const struct known *known = td_map_get(&dedup->map, dedup->ring[at]);

    if (known && known->seq == dedup->ring_seqs[at])
        td_map_remove(&dedup->map, dedup->ring[at]);
    dedup->ring_head = (at + 1) % dedup->ring_cap;
    dedup->ring_len--;
}

/* The ring grows as the map does, up to the maximum. */
static void grow(struct td_dedup *dedup)
{
    size_t cap = TD_MIN(dedup->max, TD_MAX(dedup->ring_cap * 2, 1024));
    uint64_t *ring = calloc(cap, sizeof(*ring)), *seqs = calloc(cap, sizeof(*seqs));

    TD_ASSERT(ring && seqs);
    for (size_t i = 0; i < dedup->ring_len; i++) {
        size_t from = (dedup->ring_head + i) % dedup->ring_cap;
        ring[i] = dedup->ring[from];
        seqs[i] = dedup->ring_seqs[from];
    }
    free(dedup->ring);
    free(dedup->ring_seqs);
    dedup->ring = ring;
    dedup->ring_seqs = seqs;
    dedup->ring_cap = cap;
    dedup->ring_head = 0;
}

void td_dedup_add(struct td_dedup *dedup, const struct td_index_dedup *entry, td_ns age, td_ns now)
{
    td_ns until = age <= dedup->window ? now + (dedup->window - age) : 0;

    if (dedup->ring_len == dedup->max)
        forget_oldest(dedup);
    else if (dedup->ring_len == dedup->ring_cap)
        grow(dedup);
    struct known *known = td_map_put(&dedup->map, entry->key[0], NULL);
    TD_ASSERT(known);
    *known = (struct known){entry->key[1], entry->content, entry->seq, until};
    size_t at = (dedup->ring_head + dedup->ring_len++) % dedup->ring_cap;
    dedup->ring[at] = entry->key[0];
    dedup->ring_seqs[at] = entry->seq;
}
