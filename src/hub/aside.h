/* SPDX-License-Identifier: Apache-2.0 */
/* What a subscriber is sent besides its stream, from a cursor of its own.  Private to the hub.
 *
 *   state     the retained state of some of its patterns, as of a position.  It goes when the stream has come there, and the stream
 *             waits there until all of it is out: so it is never newer than what follows, nor older than what went before.
 *   history   what came after an older position, up to where the stream stood when that was asked for: the stream brings the
 *             rest.  It goes when there is nothing else to send.
 *
 * Both read the patterns as they are subscribed at that time: what is not subscribed any more is not sent.  What the socket does
 * not take of one step is kept by the edge, at most TD_ASIDE_BYTES and one event. */
#pragma once

#include "hub/state.h"

#define TD_ASIDE_BYTES (16 * 1024)

struct td_aside {
    struct td_aside *next;
    bool is_state;
    uint64_t position;             /* history: sent up to here */
    uint64_t until;                /* history: where it ends; state: as of here */
    struct td_told told;           /* history */
    struct td_state_cursor cursor; /* state */
    struct td_slice ref;           /* raw, or empty; lies behind the patterns */
    size_t n_named;                /* 0: all that is subscribed */
    struct td_pattern *named[];
};

/* The one that is to be gone on with now, NULL when there is none. */
struct td_aside *td_aside_next(const struct td_subscriber *subscriber);
/* Where the stream has to stop for state; UINT64_MAX: nowhere. */
uint64_t td_aside_stop(const struct td_subscriber *subscriber);
/* Sends some of it. */
enum td_step td_aside_step(struct td_hub *hub, struct td_subscriber *subscriber,
                           struct td_aside *aside, struct td_budget *budget);
/* Sends the state of all that is subscribed, as of a position; in place of one of the kind that is under way.  0 or -ENOMEM. */
TD_MUST_USE int td_aside_state(struct td_hub *hub, struct td_subscriber *subscriber,
                               uint64_t as_of);
void td_aside_free_all(struct td_hub *hub, struct td_subscriber *subscriber);
