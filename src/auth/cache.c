/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/cache.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include <errno.h>
#include <openssl/sha.h>

/* Entries are found by the first 8 bytes of the hash and believed by all 32.  Two tokens that share those 8 bytes take turns in one place,
 * which costs a verification, never a wrong answer. */
struct entry {
    struct td_list use; /* in the cache's list, the longest unused first */
    unsigned char hash[SHA256_DIGEST_LENGTH];
    struct td_principal *principal;
};

struct td_token_cache {
    struct td_map entries; /* struct entry * */
    struct td_list use;
    size_t max;
};

static uint64_t map_key(const struct entry *entry)
{
    uint64_t key;

    memcpy(&key, entry->hash, sizeof(key));
    return key;
}

struct td_token_cache *td_token_cache_new(size_t max)
{
    struct td_token_cache *cache = calloc(1, sizeof(*cache));

    TD_ASSERT(max > 0);
    if (!cache)
        return NULL;
    td_map_init(&cache->entries, sizeof(struct entry *));
    td_list_init(&cache->use);
    cache->max = max;
    return cache;
}

static void entry_drop(struct td_token_cache *cache, struct entry *entry)
{
    td_map_remove(&cache->entries, map_key(entry));
    td_list_remove(&entry->use);
    td_principal_unref(entry->principal);
    free(entry);
}

static struct entry *oldest(struct td_token_cache *cache)
{
    TD_ASSERT(!td_list_empty(&cache->use));
    return TD_CONTAINER_OF(cache->use.next, struct entry, use);
}

void td_token_cache_clear(struct td_token_cache *cache)
{
    while (!td_list_empty(&cache->use))
        entry_drop(cache, oldest(cache));
    TD_ASSERT(cache->entries.len == 0);
}

void td_token_cache_free(struct td_token_cache *cache)
{
    if (!cache)
        return;
    td_token_cache_clear(cache);
    td_map_done(&cache->entries);
    free(cache);
}

size_t td_token_cache_len(const struct td_token_cache *cache)
{
    return cache->entries.len;
}

/* Remembers a principal.  Out of memory is no error here: the next use of the token is verified again. */
static void remember(struct td_token_cache *cache, const struct entry *found,
                     struct td_principal *principal)
{
    struct entry *entry = malloc(sizeof(*entry));
    struct entry **place;

    if (!entry)
        return;
    *entry = *found;
    if (cache->entries.len >= cache->max)
        entry_drop(cache, oldest(cache));
    place = td_map_put(&cache->entries, map_key(entry), NULL);
    if (!place) {
        free(entry);
        return;
    }
    TD_ASSERT(!*place);
    *place = entry;
    entry->principal = td_principal_ref(principal);
    td_list_append(&cache->use, &entry->use);
}

static struct entry **place_of(struct td_token_cache *cache, struct td_slice token,
                               struct entry *ret_wanted)
{
    *ret_wanted = (struct entry){.principal = NULL};
    SHA256((const unsigned char *)token.ptr, token.len, ret_wanted->hash);
    return td_map_get(&cache->entries, map_key(ret_wanted));
}

/* Whether what lies at a place is the token, still valid; then it is the one that was used last. */
static bool take(struct td_token_cache *cache, struct entry **place, const struct entry *wanted,
                 td_unix_ms now, struct td_principal **ret_principal)
{
    if (!place || memcmp((*place)->hash, wanted->hash, SHA256_DIGEST_LENGTH) != 0 ||
        now >= (*place)->principal->exp)
        return false;
    td_list_remove(&(*place)->use);
    td_list_append(&cache->use, &(*place)->use);
    *ret_principal = td_principal_ref((*place)->principal);
    return true;
}

bool td_token_cache_find(struct td_token_cache *cache, struct td_slice token, td_unix_ms now,
                         struct td_principal **ret_principal)
{
    struct entry wanted;

    return token.len <= TD_TOKEN_LEN_MAX &&
           take(cache, place_of(cache, token, &wanted), &wanted, now, ret_principal);
}

int td_token_cache_verify(struct td_token_cache *cache, const struct td_auth *auth,
                          struct td_slice token, td_unix_ms now,
                          struct td_principal **ret_principal, const char **reason)
{
    struct td_principal *principal;
    struct entry wanted;

    if (token.len > TD_TOKEN_LEN_MAX) /* not worth hashing */
        return td_auth_verify(auth, token, now, ret_principal, reason);
    struct entry **place = place_of(cache, token, &wanted);
    if (take(cache, place, &wanted, now, ret_principal))
        return 0;
    if (place) /* expired, or another token with the same beginning */
        entry_drop(cache, *place);
    int r = td_auth_verify(auth, token, now, &principal, reason);
    if (r < 0)
        return r;
    remember(cache, &wanted, principal);
    *ret_principal = principal;
    return 0;
}
