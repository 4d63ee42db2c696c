/* SPDX-License-Identifier: Apache-2.0 */
/* Locks: leases on names, held by subjects (docs/protocol.md).
 *
 * The lock named N is the state of the topic `locks/N` and the key `lock`, while somebody holds it.  `lock_acquired`, `lock_renewed`, `lock_released` and
 * `lock_expired` tell what happens to it there; of the name `projects/{id}` a `lock_changed` on that topic is appended with each.  The fence of a lock is
 * the sequence of its `lock_acquired`: it never falls, whoever holds it.
 *
 * The desk keeps all that are held in memory, with the time at which each ends, and makes that anew from the state when it starts: a lease
 * ends by the wall clock while the server is down, and by the monotonic clock while it runs. */
#pragma once

#include "base/compiler.h"
#include "desk/ask.h"

struct td_desk;
struct td_locks;

#define TD_LOCK_PREFIX  "locks/"
#define TD_LOCK_TTL_MAX (24 * 60 * 60) /* seconds: the most that can be configured */

/* NULL when memory is out.  The locks that are held are read with the desk's first turns. */
struct td_locks *td_locks_new(struct td_desk *desk);
void td_locks_free(struct td_locks *locks);

/* They carry out an ask each: 0, an error which is its answer (TD_ELOCKED: `body` is the lock as another one holds it), or
 * -EAGAIN to be called again.  `ask.topic` is the lock's topic, `locks/` and its name. */
TD_MUST_USE int td_lock_take(struct td_desk *desk, struct td_ask *ask);
TD_MUST_USE int td_lock_give_back(struct td_desk *desk, struct td_ask *ask);
TD_MUST_USE int td_lock_get(struct td_desk *desk, struct td_ask *ask);
