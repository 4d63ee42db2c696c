/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted over all workers: open connections by address, by user, and by user and path at an endpoint; and tokens that were not valid.
 *
 * Touched where a connection comes, proves who it is, and goes, never on the way of an event.  Bounded: an entry for connections lives as
 * long as one of them does; bad tokens are remembered in a table of fixed size, in which the address that failed longest ago makes
 * room.  An IPv6 address counts as its /64, which is what one household has.  Any thread. */
#pragma once

#include "base/addr.h"
#include "base/compiler.h"
#include "base/slice.h"
#include "base/units.h"
#include <stdbool.h>
#include <stdint.h>

struct td_quota;

/* NULL when memory is out. */
struct td_quota *td_quota_new(void);
void td_quota_free(struct td_quota *quota);

/* Whom a connection is counted for; not its text but a keyed hash, so nobody can aim at another's. */
uint64_t td_quota_of_addr(const struct td_quota *quota, const struct td_addr *addr);
uint64_t td_quota_of_user(const struct td_quota *quota, struct td_slice subject);

/* Counts one more for `whom`.  0; TD_EMANY when there are `max` already, or -ENOMEM; then it is not counted. */
TD_MUST_USE int td_quota_enter(struct td_quota *quota, uint64_t whom, unsigned max);
void td_quota_leave(struct td_quota *quota, uint64_t whom);

/* A connection at an endpoint, in the order in which its user's came.  Memory of whoever joins; it may not move. */
struct td_ticket {
    uint64_t _user, _path;
    struct td_ticket *_older, *_newer;
    bool _replaced;
};

struct td_join {
    uint64_t user;         /* a user at an endpoint, see td_quota_of_text; 0: not counted */
    unsigned user_max;     /* of his connections; the oldest makes room, … */
    unsigned replaced_max; /* … in a minute so many of them */
    uint64_t path;         /* a path at an endpoint; 0: not counted */
    unsigned path_max;
    td_ns now;
};

uint64_t td_quota_of_text(const struct td_quota *quota, char kind, struct td_slice text);
/* Counts one more connection.  0, and `*ret_replaced` is the ticket that had to make room, or NULL.  Its place is free already, and it does not
 * quit any more; whose it is has to close it.  TD_EMANY: there are too many at the path, and making room would not help; TD_ERATE: too many of this user have been replaced; or
 * -ENOMEM; then nothing has changed. */
TD_MUST_USE int td_quota_join(struct td_quota *quota, const struct td_join *join,
                              struct td_ticket *ticket, struct td_ticket **ret_replaced);
/* It has gone.  False when it was replaced: then it is in the hands of who replaced it. */
bool td_quota_quit(struct td_quota *quota, struct td_ticket *ticket);

/* Bad tokens: an address may have `rate` of them a second, and TD_QUOTA_BURST_S seconds' worth at once. */
#define TD_QUOTA_BURST_S 10
/* Whether another token of that address is looked at. */
bool td_quota_may_try(struct td_quota *quota, uint64_t addr, unsigned rate, td_ns now);
/* Counts a bad one. */
void td_quota_failed(struct td_quota *quota, uint64_t addr, unsigned rate, td_ns now);
