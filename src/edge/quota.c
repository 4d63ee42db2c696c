/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/quota.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/map.h"
#include "os/random.h"
#include "os/thread.h"
#include <errno.h>
#include <openssl/sha.h>

/* Sets of a few places each: an address is looked for in the set that its hash names. */
#define SETS 1024
#define WAYS 4

/* How much of its allowance an address has used up, in thousandths of a token, at a time. */
struct failures {
    uint64_t whom; /* 0: the place is free */
    uint64_t used;
    td_ns at;
};

/* The tickets of a user at an endpoint. */
struct user {
    struct td_ticket *oldest, *newest;
    uint32_t n;
    uint32_t replaced; /* of his, in the minute that … */
    td_ns since;       /* … began then */
};

struct td_quota {
    struct td_mutex mutex;
    struct td_map open;  /* uint32_t: connections of … */
    struct td_map users; /* struct user, at an endpoint */
    unsigned char seed[16];
    struct failures failures[SETS][WAYS];
};

struct td_quota *td_quota_new(void)
{
    struct td_quota *quota = calloc(1, sizeof(*quota));

    if (!quota)
        return NULL;
    td_mutex_init(&quota->mutex);
    td_map_init(&quota->open, sizeof(uint32_t));
    td_map_init(&quota->users, sizeof(struct user));
    td_random_bytes(quota->seed, sizeof(quota->seed));
    return quota;
}

void td_quota_free(struct td_quota *quota)
{
    if (!quota)
        return;
    td_map_done(&quota->open);
    td_map_done(&quota->users);
    td_mutex_done(&quota->mutex);
    free(quota);
}

static uint64_t hash(const struct td_quota *quota, char kind, const void *bytes, size_t len)
{
    unsigned char text[sizeof(quota->seed) + 1 + SHA256_DIGEST_LENGTH],
        digest[SHA256_DIGEST_LENGTH];
    uint64_t whom;

    memcpy(text, quota->seed, sizeof(quota->seed));
    text[sizeof(quota->seed)] = (unsigned char)kind;
    SHA256(bytes, len, text + sizeof(quota->seed) + 1); /* so that any length fits */
    SHA256(text, sizeof(text), digest);
    memcpy(&whom, digest, sizeof(whom));
    return whom ? whom : 1;
}

uint64_t td_quota_of_addr(const struct td_quota *quota, const struct td_addr *addr)
{
    const uint8_t zero[4] = {0};
    struct td_addr v4 = td_addr_v4(zero, 0);

    return hash(quota, 'a', addr->ip, memcmp(addr->ip, v4.ip, 12) == 0 ? 16 : 8);
}

uint64_t td_quota_of_user(const struct td_quota *quota, struct td_slice subject)
{
    return hash(quota, 'u', subject.ptr, subject.len);
}

uint64_t td_quota_of_text(const struct td_quota *quota, char kind, struct td_slice text)
{
    return hash(quota, kind, text.ptr, text.len);
}

int td_quota_enter(struct td_quota *quota, uint64_t whom, unsigned max)
{
    int r = 0;

    td_mutex_lock(&quota->mutex);
    uint32_t *n = td_map_put(&quota->open, whom, NULL);
    if (!n)
        r = -ENOMEM;
    else if (*n >= max)
        r = TD_EMANY;
    else
        ++*n;
    td_mutex_unlock(&quota->mutex);
    return r;
}

static void uncount(struct td_quota *quota, uint64_t whom)
{
    uint32_t *n = td_map_get(&quota->open, whom);

    TD_ASSERT(n && *n > 0);
    if (--*n == 0)
        td_map_remove(&quota->open, whom);
}

void td_quota_leave(struct td_quota *quota, uint64_t whom)
{
    td_mutex_lock(&quota->mutex);
    uncount(quota, whom);
    td_mutex_unlock(&quota->mutex);
}

/* ---- endpoints ---- */

static void unlink_ticket(struct user *user, struct td_ticket *ticket)
{
    struct td_ticket **from_older = ticket->_older ? &ticket->_older->_newer : &user->oldest;
    struct td_ticket **from_newer = ticket->_newer ? &ticket->_newer->_older : &user->newest;

    *from_older = ticket->_newer;
    *from_newer = ticket->_older;
    user->n--;
}

static void link_ticket(struct user *user, struct td_ticket *ticket)
{
    ticket->_older = user->newest;
    ticket->_newer = NULL;
    if (user->newest)
        user->newest->_newer = ticket;
    else
        user->oldest = ticket;
    user->newest = ticket;
    user->n++;
}

/* Whether another of his may be replaced in this minute; counts it. */
static bool may_replace(struct user *user, const struct td_join *join)
{
    if (user->replaced == 0 || join->now - user->since >= 60 * TD_NS_PER_S) {
        user->since = join->now;
        user->replaced = 0;
    }
    if (user->replaced >= join->replaced_max)
        return false;
    user->replaced++;
    return true;
}

/* Decides, and takes a place at the path.  0 and the one that has to make room, if any; or an error. */
static int admit(struct td_quota *quota, const struct td_join *join, struct user *user,
                 struct td_ticket **ret_replaced)
{
    const uint32_t *there = join->path ? td_map_get(&quota->open, join->path) : NULL;
    struct td_ticket *oldest = user && user->n >= join->user_max ? user->oldest : NULL;

    /* Replacing one's own is no more at a path; the other way round nothing would be gained. */
    if (there && *there >= join->path_max && !(oldest && oldest->_path == join->path))
        return TD_EMANY;
    if (join->path) {
        uint32_t *n = td_map_put(&quota->open, join->path, NULL);
        if (!n)
            return -ENOMEM;
        ++*n;
    }
    if (oldest && !may_replace(user, join)) {
        if (join->path)
            uncount(quota, join->path);
        return TD_ERATE;
    }
    *ret_replaced = oldest;
    return 0;
}

int td_quota_join(struct td_quota *quota, const struct td_join *join, struct td_ticket *ticket,
                  struct td_ticket **ret_replaced)
{
    struct user *user = NULL;
    struct td_ticket *replaced = NULL;
    int r = 0;

    td_mutex_lock(&quota->mutex);
    if (join->user) {
        user = td_map_put(&quota->users, join->user, NULL);
        r = user ? 0 : -ENOMEM;
    }
    if (r == 0)
        r = admit(quota, join, user, &replaced);
    if (r == 0 && replaced) {
        replaced->_replaced = true;
        unlink_ticket(user, replaced);
        if (replaced->_path)
            uncount(quota, replaced->_path);
    }
    if (r == 0) {
        *ticket = (struct td_ticket){._user = join->user, ._path = join->path};
        if (user)
            link_ticket(user, ticket);
        *ret_replaced = replaced;
    } else if (user && user->n == 0) {
        td_map_remove(&quota->users, join->user);
    }
    td_mutex_unlock(&quota->mutex);
    return r;
}

bool td_quota_quit(struct td_quota *quota, struct td_ticket *ticket)
{
    td_mutex_lock(&quota->mutex);
    bool mine = !ticket->_replaced;
    struct user *user = mine && ticket->_user ? td_map_get(&quota->users, ticket->_user) : NULL;
    if (user) {
        unlink_ticket(user, ticket);
        if (user->n == 0)
            td_map_remove(&quota->users, ticket->_user);
    }
    if (mine && ticket->_path)
        uncount(quota, ticket->_path);
    td_mutex_unlock(&quota->mutex);
    return mine;
}

/* The place of an address, with what has been given back since it was looked at last; NULL when it has none. */
static struct failures *find(struct td_quota *quota, uint64_t addr, unsigned rate, td_ns now)
{
    struct failures *set = quota->failures[addr % SETS];

    for (size_t i = 0; i < WAYS; i++) {
        struct failures *place = &set[i];
        if (place->whom != addr)
            continue;
        uint64_t passed_ms = (now - place->at) / TD_NS_PER_MS, back = passed_ms * rate;
        place->used = back < place->used ? place->used - back : 0;
        place->at += passed_ms * TD_NS_PER_MS; /* what is left of a millisecond counts later */
        return place;
    }
    return NULL;
}

bool td_quota_may_try(struct td_quota *quota, uint64_t addr, unsigned rate, td_ns now)
{
    bool may = true;

    if (rate == 0)
        return true;
    td_mutex_lock(&quota->mutex);
    const struct failures *place = find(quota, addr, rate, now);
    if (place)
        may = place->used + 1000 <= UINT64_C(1000) * rate * TD_QUOTA_BURST_S;
    td_mutex_unlock(&quota->mutex);
    return may;
}

void td_quota_failed(struct td_quota *quota, uint64_t addr, unsigned rate, td_ns now)
{
    if (rate == 0)
        return;
    td_mutex_lock(&quota->mutex);
    struct failures *place = find(quota, addr, rate, now);
    if (!place) {
        struct failures *set = quota->failures[addr % SETS];
        place = &set[0];
        for (size_t i = 1; i < WAYS; i++)
            if (set[i].at < place->at)
                place = &set[i];
        *place = (struct failures){.whom = addr, .at = now};
    }
    place->used += 1000;
    td_mutex_unlock(&quota->mutex);
}
