/* SPDX-License-Identifier: Apache-2.0 */
/* Keep-alive HTTP connections that publish stamped events, several requests under way on each. */
#pragma once

#include "histogram.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct publishers;

struct publishers_options {
    struct sockaddr_in server;
    const char *path;
    const char *token; /* sent as Authorization: Bearer; NULL: none */
    /* An event as the server wants it.  {data} is replaced by the payload, a JSON object; {topic} by
     * five digits that run through `topics` numbers: an event's sequence, from 1, modulo `topics`. */
    const char *event;
    unsigned connections;
    unsigned pipeline; /* requests under way on one connection */
    unsigned batch;    /* events in one request: 1 as it is, more as a JSON array */
    unsigned topics;
    unsigned payload_bytes;
    int epoll; /* each event's data.u64 is PUBLISHERS_FLAG | a connection's number */
};

#define PUBLISHERS_FLAG (UINT64_C(1) << 32)

struct publishers_tally {
    uint64_t sent;        /* events */
    uint64_t acked;       /* events in requests that were answered 2xx */
    uint64_t refused;     /* events in requests that were answered otherwise */
    struct histogram ack; /* from a request's sending to its answer */
};

/* Connects all. */
struct publishers *publishers_new(const struct publishers_options *options);
void publishers_free(struct publishers *publishers);

/* Adds one request, whose events are stamped with `due_ns`, to the connection that is next.  False
 * when all have as many under way as they may. */
bool publishers_add(struct publishers *publishers, uint64_t due_ns);

/* Sends what was added. */
void publishers_flush(struct publishers *publishers);

/* Serves connection `number`, for which epoll reported something. */
void publishers_serve(struct publishers *publishers, unsigned number);

const struct publishers_tally *publishers_tally(const struct publishers *publishers);
