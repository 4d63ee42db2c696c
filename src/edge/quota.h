/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted by address and by user over all workers: open connections, and tokens that were not valid.
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

/* Bad tokens: an address may have `rate` of them a second, and TD_QUOTA_BURST_S seconds' worth at once. */
#define TD_QUOTA_BURST_S 10
/* Whether another token of that address is looked at. */
bool td_quota_may_try(struct td_quota *quota, uint64_t addr, unsigned rate, td_ns now);
/* Counts a bad one. */
void td_quota_failed(struct td_quota *quota, uint64_t addr, unsigned rate, td_ns now);
