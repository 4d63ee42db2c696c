/* SPDX-License-Identifier: Apache-2.0 */
/* What jobs that have not ended hold: the topics to which only the server writes meanwhile, or the ids of connections that are not idle meanwhile.  Any
 * thread; as long as no job holds anything, a question costs one look at a number. */
#pragma once

#include "base/compiler.h"
#include "base/map.h"
#include "base/slice.h"
#include "os/thread.h"
#include <stdatomic.h>

struct td_reserved {
    struct td_mutex _mutex;
    struct td_map _topics; /* hash of the text → how many jobs */
    uint64_t _seed;
    _Atomic size_t _n;
};

void td_reserved_init(struct td_reserved *reserved, uint64_t seed);
void td_reserved_done(struct td_reserved *reserved);
/* Counts one job more, or less, that holds the topic, or the id.  0 or -ENOMEM. */
TD_MUST_USE int td_reserved_add(struct td_reserved *reserved, struct td_slice topic);
void td_reserved_drop(struct td_reserved *reserved, struct td_slice topic);
/* Whether a job holds it.  NULL: none does. */
bool td_reserved_has(struct td_reserved *reserved, struct td_slice topic);
