/* SPDX-License-Identifier: Apache-2.0 */
// (Line comments, because patterns hold the marks of block comments.)
//
// Who is there: which connections follow a topic, over all workers.
//
// A WebSocket or stream is present on a topic T when it has subscribed T or `T/**`, as a client names it or as its endpoint does, and
// T is one of the topics that presence is kept of (the option presence.topics).  Coming and going are told to the others as ephemeral
// events on T, each once, while no more than so many are there: with a thousand, a thousand would each be told of a thousand.
//
// One table behind a mutex, touched where subscriptions change, never on the way of an event.  A connection that is
// present nowhere costs a pointer.
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"
#include <stdbool.h>

struct td_conn;
struct td_presence;
struct td_present; /* a connection on a topic; in the table, and in a list of the connection's */
struct td_worker;

struct td_presence_options {
    const struct td_slice *topics; /* patterns; copied, with their texts */
    size_t n_topics;
    size_t entries_max;  /* connections on topics, in all; what is beyond is not present */
    size_t announce_max; /* while so many or fewer are on a topic, who comes is told */
};

/* NULL when memory is out. */
struct td_presence *td_presence_new(const struct td_presence_options *options);
/* Nobody is present any more. */
void td_presence_free(struct td_presence *presence);

/* For the connection's worker: after its subscriptions have changed, or it has become what can be present. */
void td_presence_sync(struct td_worker *worker, struct td_conn *conn);
/* It is present nowhere any more. */
void td_presence_leave(struct td_worker *worker, struct td_conn *conn);

/* Whether a record tells that the connection itself has come. */
struct td_record;
bool td_presence_is_own(const struct td_conn *conn, const struct td_record *record);

/* Whether presence is kept of a topic.  Any thread. */
bool td_presence_keeps(const struct td_presence *presence, struct td_slice topic);
/* Appends `"count":n,"users":[{"user","connection_id","since"},…]`: the first `limit` of those who are there, in the order in which they came.  Any
 * thread. */
void td_presence_put(struct td_presence *presence, struct td_slice topic, size_t limit,
                     struct td_buf *out);
